import { spinner } from '@clack/prompts'
import type { BuildEvent, BuildStep } from '../image/index.ts'
import type { CliContext } from './context.ts'

/** Shows a build while it goes on. */
export interface BuildDisplay {
  readonly onProgress: (event: BuildEvent) => void
  /** The build has succeeded; `summary` is the last thing shown. */
  readonly end: (summary: string) => void
  /** The build has failed; whoever shows the error needs a clean line. */
  readonly fail: () => void
}

const STEP_NAMES: Readonly<Record<BuildStep, string>> = {
  prepare: 'preparing',
  kernel: 'kernel',
  qemu: 'QEMU',
  runtime: 'QEMU’s tree',
  rootfs: 'root file system',
  initramfs: 'agent',
  publish: 'image',
}

/** Plain output says how far a step is at these distances only. */
const PLAIN_PERCENT_STEP = 25

/** On a terminal one moving line with all running steps, elsewhere plain lines; both on stderr. */
export function showBuild(context: CliContext): BuildDisplay {
  return context.stderr.isTTY === true ? showOnTerminal(context) : showPlainly(context)
}

/** `20.3 MB`, in the units of disk makers: 1 MB is 1 000 000 bytes. */
export function formatBytes(bytes: number): string {
  return bytes < 1_000_000 ? `${Math.round(bytes / 1000)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`
}

/** `0.4 s`, `3 min 20 s`. */
export function formatDuration(milliseconds: number): string {
  const seconds = milliseconds / 1000
  if (seconds < 60) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  return `${Math.floor(whole / 60)} min ${whole % 60} s`
}

function showOnTerminal(context: CliContext): BuildDisplay {
  const running = new Map<BuildStep, string>()
  const create = () => spinner({ output: context.stderr })
  let line = create()
  let shown = false
  const refresh = (): void => {
    const text = [...running.values()].join('  ·  ')
    if (shown) line.message(text)
    else line.start(text)
    shown = true
  }
  const finish = (text: string): void => {
    if (shown) line.stop(text)
    else context.stderr.write(`${text}\n`)
    line = create()
    shown = false
  }
  const onProgress = (event: BuildEvent): void => {
    const name = STEP_NAMES[event.step]
    if (event.state === 'done' || event.state === 'cached') {
      running.delete(event.step)
      if (event.step !== 'prepare') finish(`${name}: ${resultOf(event)}`)
      if (running.size > 0) refresh()
    } else if (event.state === 'failed') {
      running.delete(event.step)
    } else {
      running.set(event.step, [name, percentOf(event), event.detail].filter(Boolean).join(' '))
      refresh()
    }
  }
  const fail = (): void => {
    if (shown) line.error('The image was not built.')
    shown = false
  }
  const end = (summary: string): void => {
    if (shown) line.clear()
    context.stderr.write(`${summary}\n`)
  }
  return { onProgress, end, fail }
}

function showPlainly(context: CliContext): BuildDisplay {
  const lastPercent = new Map<BuildStep, number>()
  const lastDetail = new Map<BuildStep, string>()
  const write = (event: BuildEvent, text: string): void => {
    context.stderr.write(`${STEP_NAMES[event.step]}: ${text}\n`)
  }
  const onProgress = (event: BuildEvent): void => {
    if (event.state === 'done' || event.state === 'cached') {
      if (event.step !== 'prepare') write(event, resultOf(event))
    } else if (event.state === 'progress') {
      const step = Math.floor((event.percent ?? 0) / PLAIN_PERCENT_STEP)
      // A detail that comes with ever new numbers is only shown when the percentage has moved on.
      const isNews =
        event.percent === undefined ? lastDetail.get(event.step) === undefined : lastPercent.get(event.step) !== step
      lastPercent.set(event.step, step)
      lastDetail.set(event.step, event.detail ?? '')
      if (isNews) write(event, [percentOf(event), event.detail].filter(Boolean).join(' '))
    } else if (event.step !== 'prepare' || event.detail !== undefined) {
      write(event, event.detail ?? event.state)
    }
  }
  return {
    onProgress,
    end: (summary) => {
      context.stderr.write(`${summary}\n`)
    },
    fail: () => {},
  }
}

function resultOf(event: BuildEvent): string {
  const size = event.bytes === undefined ? '' : `${formatBytes(event.bytes)}, `
  return event.state === 'cached' ? `${size}unchanged` : `${size}${formatDuration(event.durationMs ?? 0)}`
}

function percentOf(event: BuildEvent): string {
  return event.percent === undefined ? '' : `${event.percent} %`
}
