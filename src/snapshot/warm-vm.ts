import { BootError } from '../base/index.ts'
import type { Exchange } from '../channel/index.ts'
import { type ExecEnd, execProgram, runCode, type RunRequest, STREAMS, type Vm } from '../vm/index.ts'

/** Milliseconds for a warm-up program; it takes a second under emulation. */
const WARM_UP_TIMEOUT_MS = 60_000

/**
 * Milliseconds after which a VM that has not answered is ended: the guest ends the program itself in time, and may take as
 * long as after a cancellation to say so. Nobody else watches a VM that serves nobody.
 */
const ANSWER_TIMEOUT_MS = WARM_UP_TIMEOUT_MS + 30_000

/** Output of a warm-up program that is looked at when it fails. */
const OUTPUT_LIMIT = 4_096

/** The context that runs use unless they name another. */
const CONTEXT = 'default'

/**
 * Runs one of our own programs in a VM that serves nobody yet.
 * @throws BootError when it fails, or whatever ended the VM
 */
export async function warmVm(
  vm: Vm,
  language: string,
  code: string,
  answerTimeoutMs: number = ANSWER_TIMEOUT_MS,
): Promise<void> {
  const exchange = runCode(vm.channel, requestOf(language, code), () => undefined)
  const { end, stderr } = await outcomeOf(vm, exchange, answerTimeoutMs)
  if (end.exitCode === 0 && end.state === 'kept') return
  throw warmUpError(vm, `program of ${language}`, end, stderr)
}

/** Milliseconds for the imports of a layer's packages: the large ones take a minute under emulation. */
const IMPORT_TIMEOUT_MS = 180_000

/**
 * Imports packages in a VM that serves nobody yet. However that ends, the interpreter can go on: where a package has ended it,
 * the next program gets a fresh one.
 * @throws whatever ended the VM
 */
export async function importPackages(vm: Vm, language: string, code: string): Promise<void> {
  const request = { ...requestOf(language, code), timeoutMs: IMPORT_TIMEOUT_MS }
  const exchange = runCode(vm.channel, request, () => undefined)
  await outcomeOf(vm, exchange, IMPORT_TIMEOUT_MS + ANSWER_TIMEOUT_MS)
}

/**
 * Runs a command in a VM that serves nobody yet.
 * @throws BootError when it fails, or whatever ended the VM
 */
export async function warmCommand(vm: Vm, argv: readonly string[]): Promise<void> {
  const limits = { timeoutMs: WARM_UP_TIMEOUT_MS, stdoutLimit: OUTPUT_LIMIT, stderrLimit: OUTPUT_LIMIT }
  const exchange = execProgram(vm.channel, { argv, env: {}, ...limits })
  exchange.writable(STREAMS.stdin).end()
  const { end, stderr } = await outcomeOf(vm, exchange, ANSWER_TIMEOUT_MS)
  if (end.exitCode !== 0) throw warmUpError(vm, `command ${argv[0] ?? ''}`, end, stderr)
}

function requestOf(language: string, code: string): RunRequest {
  return {
    language,
    context: CONTEXT,
    code,
    env: {},
    timeoutMs: WARM_UP_TIMEOUT_MS,
    stdoutLimit: OUTPUT_LIMIT,
    stderrLimit: OUTPUT_LIMIT,
  }
}

async function outcomeOf<E extends ExecEnd>(
  vm: Vm,
  exchange: Exchange<E>,
  answerTimeoutMs: number,
): Promise<{ readonly end: E; readonly stderr: string }> {
  const outputs = Promise.all([STREAMS.stdout, STREAMS.stderr].map(async (id) => await textOf(exchange.readable(id))))
  // Observed here: a failure of the response, which comes first, says more.
  outputs.catch(() => undefined)
  const late = setTimeout(() => vm.end(`its warm-up did not end within ${answerTimeoutMs / 1000} s`), answerTimeoutMs)
  // A VM of a pool holds no process open.
  late.unref()
  try {
    const end = await exchange.response
    const [, stderr = ''] = await outputs
    return { end, stderr }
  } catch (error) {
    throw await vm.explain(error, false)
  } finally {
    clearTimeout(late)
  }
}

function warmUpError(vm: Vm, what: string, { exitCode, reason }: ExecEnd, stderr: string): BootError {
  return new BootError(
    `The warm-up ${what} ended with ${exitCode} (${reason}): ${stderr}`,
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
