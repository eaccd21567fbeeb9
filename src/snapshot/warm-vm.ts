import { BootError } from '../base/index.ts'
import { runCode, type RunEnd, STREAMS, type Vm } from '../vm/index.ts'

/** Milliseconds for a warm-up program; it takes a second under emulation. */
const WARM_UP_TIMEOUT_MS = 60_000

/** Output of a warm-up program that is looked at when it fails. */
const OUTPUT_LIMIT = 4_096

/** The context that runs use unless they name another. */
const CONTEXT = 'default'

/**
 * Runs one of our own programs in a VM that serves nobody yet.
 * @throws BootError when it fails, or whatever ended the VM
 */
export async function warmVm(vm: Vm, language: string, code: string): Promise<void> {
  const request = {
    language,
    context: CONTEXT,
    code,
    env: {},
    timeoutMs: WARM_UP_TIMEOUT_MS,
    stdoutLimit: OUTPUT_LIMIT,
    stderrLimit: OUTPUT_LIMIT,
  }
  const exchange = runCode(vm.channel, request, () => undefined)
  const outputs = Promise.all([STREAMS.stdout, STREAMS.stderr].map(async (id) => await textOf(exchange.readable(id))))
  // Observed here: a failure of the response, which comes first, says more.
  outputs.catch(() => undefined)
  let end: RunEnd
  try {
    end = await exchange.response
  } catch (error) {
    throw await vm.explain(error, false)
  }
  const [, stderr = ''] = await outputs
  if (end.exitCode === 0 && end.state === 'kept') return
  throw new BootError(
    `The warm-up program of ${language} ended with ${end.exitCode} (${end.reason}): ${stderr}`,
    { phase: 'warm-up', bootLog: vm.bootLog, stderr: '' },
    { retryable: false },
  )
}

async function textOf(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of chunks) text += decoder.decode(chunk, { stream: true })
  return text
}
