/**
 * What tests below the public API run their VMs on: what `EXEC_SANDBOX_ACCELERATOR` says, as the scheduler does, so that
 * `npm run test:security` can run them on each accelerator.
 */
export function wantedAccelerator(): 'auto' | 'kvm' | 'tcg' {
  const wanted = process.env['EXEC_SANDBOX_ACCELERATOR'] ?? 'auto'
  if (wanted !== 'auto' && wanted !== 'kvm' && wanted !== 'tcg') throw new Error(`no accelerator: ${wanted}`)
  return wanted
}
