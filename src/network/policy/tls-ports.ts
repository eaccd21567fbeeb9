/**
 * Ports on which TLS is spoken from the first byte (IANA service names): https, smtps/submissions, nntps, ldaps, DNS over
 * TLS, ftps (data and control), telnets, imaps, ircs, pop3s, sips, ircs-u, and the usual second https port.
 */
export const TLS_PORTS: ReadonlySet<number> = new Set([
  443, 465, 563, 636, 853, 989, 990, 992, 993, 994, 995, 5061, 6697, 8443,
])
