import { OUTPUT_LIMITS, type RunResult } from '../sandbox/index.ts'

/** What the tool has to say about how a program ended, a line each. @param timeoutMs its time limit */
export function notesOn(result: RunResult, timeoutMs: number): readonly string[] {
  const notes: string[] = []
  if (result.stdoutTruncated) notes.push(`sbx: stdout was cut at ${OUTPUT_LIMITS.stdout} bytes\n`)
  if (result.stderrTruncated) notes.push(`sbx: stderr was cut at ${OUTPUT_LIMITS.stderr} bytes\n`)
  if (result.reason === 'timeout') {
    notes.push(`sbx: the program ran into its time limit of ${timeoutMs / 1000} s (-t sets it)\n`)
  }
  if (result.reason === 'memory') notes.push('sbx: the VM ran out of memory (-m gives it more)\n')
  return notes
}
