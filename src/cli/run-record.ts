import { z } from 'zod'
import { EXIT_CODES, type SandboxError } from '../base/index.ts'
import type { OneShotResult } from '../sandbox/index.ts'

/**
 * What `sbx run --json` prints: one line per source. docs/run-result.schema.json is written from this module; its test
 * says how.
 */

const milliseconds = z.number().min(0)
const count = z.int().min(0)
const errorCode = z.enum(Object.keys(EXIT_CODES))

const timing = z.strictObject({
  packagesMs: milliseconds.optional().describe('Finding the installed packages of --package, or installing them'),
  admissionMs: milliseconds.optional().describe('Waiting for room on this host'),
  setupMs: milliseconds.optional().describe('Starting QEMU until it answers'),
  bootMs: milliseconds.optional().describe('From the start of the guest until its agent said hello'),
  restoreMs: milliseconds.optional().describe('Loading the state of a template and letting the guest go on'),
  connectMs: milliseconds.optional().describe('Handing clock, entropy and environment to the guest'),
  spawnMs: milliseconds.optional().describe('Starting the interpreter'),
  uploadMs: milliseconds.optional().describe('Writing the files of --upload'),
  executeMs: milliseconds.describe('From handing the program over until its end was reported'),
  downloadMs: milliseconds.optional().describe('Copying the files of --download'),
  teardownMs: milliseconds.optional().describe('Ending the VM'),
  totalMs: milliseconds.describe('From the call to its result'),
})

const download = z.strictObject({
  path: z.string().describe('In the guest, as it was asked for'),
  hostPath: z.string(),
  copy: z
    .strictObject({
      entries: count.describe('Files, directories and symbolic links, the root included'),
      bytes: count.describe('Bytes of the files'),
      skipped: z
        .array(z.string())
        .describe('What was left out: links that lead out of the directory, and devices and the like'),
    })
    .optional()
    .describe('What was copied; absent when it could not be'),
  error: z
    .strictObject({
      code: errorCode,
      message: z.string(),
      details: z.strictObject({ path: z.string(), errno: z.string().describe('POSIX name, such as ENOENT') }),
    })
    .optional()
    .describe('Why nothing was copied'),
})

const portNumber = z.int().min(1).max(65_535)
const port = z.strictObject({
  guest: portNumber.describe('Port of the VM'),
  host: portNumber.describe('Port of 127.0.0.1 that led to it while the program ran'),
  url: z.string(),
})

const result = z
  .strictObject({
    stdout: z.string(),
    stderr: z.string(),
    stdoutTruncated: z.boolean().describe('stdout was longer than 1000000 bytes; the rest was dropped'),
    stderrTruncated: z.boolean().describe('stderr was longer than 100000 bytes; the rest was dropped'),
    exitCode: z.int().min(0).max(255).describe('128+n for signal n, 124 for a time-out, 137 for memory'),
    reason: z.enum(['exit', 'signal', 'timeout', 'memory']).describe('Why the program ended'),
    state: z.enum(['kept', 'reset']).describe('Whether the interpreter outlived the program'),
    results: z
      .array(z.object({ text: z.string().optional() }).catchall(z.unknown()))
      .describe('Values the program displayed: MIME type to data, and `text` for the text/plain form'),
    error: z
      .strictObject({ name: z.string(), message: z.string(), traceback: z.string() })
      .optional()
      .describe('The uncaught error that ended the program'),
    source: z.enum(['pool', 'memory-snapshot', 'disk-snapshot', 'cold-boot']).describe('How the VM came to be'),
    timing: timing.describe('Milliseconds of each phase that took place'),
    usage: z
      .strictObject({
        guestCpuMs: milliseconds,
        guestPeakBytes: count,
        hostCpuMs: milliseconds.optional(),
        hostPeakBytes: count.optional(),
      })
      .describe('Of the program in the guest; of its VM on the host, where that tells'),
    downloads: z.array(download).describe('The copies of --download, in order'),
    ports: z.array(port).describe('The ports of --expose, in order'),
  })
  .describe('How a program ended; one that fails is a result')

const failure = z
  .strictObject({
    failure: z.strictObject({
      code: errorCode,
      message: z.string(),
      retryable: z.boolean().describe('Whether trying the same again can help'),
    }),
  })
  .describe('The tool failed, or its VM did, or the input was refused')

export const runRecordSchema = z.union([result, failure]).meta({
  title: 'A line of sbx run --json',
  description: 'One line per source, in the order of the sources',
})

/** One line of output, before it is JSON. */
export type RunRecord = z.infer<typeof runRecordSchema>

/** The record of a program that ended. */
export function recordOf({ downloads, ports, ...rest }: OneShotResult): RunRecord {
  return {
    ...rest,
    ports: [...ports],
    results: [...rest.results],
    downloads: downloads.map(({ path, hostPath, copy, error }) => ({
      path,
      hostPath,
      ...(copy === undefined ? {} : { copy: { ...copy, skipped: [...copy.skipped] } }),
      ...(error === undefined ? {} : { error: { code: error.code, message: error.message, details: error.details } }),
    })),
  }
}

/** The record of a run that gave no result. */
export function failureRecordOf({ code, message, retryable }: SandboxError): RunRecord {
  return { failure: { code, message, retryable } }
}
