import type { Command } from 'commander'
import { createLogger, logLevelFrom } from '../base/index.ts'
import type { CliContext } from './context.ts'
import { type DoctorFact, type DoctorReport, type DoctorStatus, runDoctor } from './doctor-report.ts'
import { writeAll } from './terminal.ts'

/** Exit code when a fact is `fail`: the tool could not run a program here. */
const FAILURE = 125

export function registerDoctorCommand(program: Command, context: CliContext): void {
  program
    .command('doctor')
    .description('check everything VMs depend on; each line says how to mend it')
    .option('--json', 'print a report for programs')
    .action(async (options: { readonly json?: boolean }) => {
      const logger = createLogger(logLevelFrom(context.env) ?? 'silent')
      const report = await runDoctor({ env: context.env, logger, signal: context.signal })
      const text =
        options.json === true ? `${JSON.stringify(report, undefined, 2)}\n` : renderReport(report, usesColor(context))
      await writeAll(context.stdout, text)
      if (report.status === 'fail') context.exit(FAILURE)
    })
}

/** The report for people: one aligned line per fact, its fix below it. Pure. */
export function renderReport(report: DoctorReport, color: 'color' | 'plain'): string {
  const width = Math.max(...report.facts.map(({ id }) => id.length))
  const lines = report.facts.flatMap((fact) => renderFact(fact, width, color))
  return `${[...lines, SUMMARY[report.status]].join('\n')}\n`
}

const SUMMARY: Record<DoctorStatus, string> = {
  ok: 'Everything that VMs need is here.',
  warn: 'VMs run here, or will once the warnings that say so are mended.',
  fail: 'VMs cannot run here until the failures are mended.',
}

/** SGR codes of ECMA-48: green, yellow, red. */
const COLORS: Record<DoctorStatus, string> = { ok: '\u001B[32m', warn: '\u001B[33m', fail: '\u001B[31m' }
const RESET = '\u001B[0m'

function renderFact(fact: DoctorFact, width: number, color: 'color' | 'plain'): readonly string[] {
  const word = fact.status.padEnd('warn'.length)
  const status = color === 'color' ? `${COLORS[fact.status]}${word}${RESET}` : word
  const line = `${status}  ${fact.id.padEnd(width)}  ${oneLine(fact.detail)}`
  return fact.fix === undefined ? [line] : [line, `${' '.repeat('warn'.length + 2 + width)}  → ${fact.fix}`]
}

// A detail may hold QEMU's own words.
function oneLine(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ')
}

function usesColor(context: CliContext): 'color' | 'plain' {
  const refused = (context.env['NO_COLOR'] ?? '') !== ''
  return context.stdout.isTTY === true && !refused ? 'color' : 'plain'
}
