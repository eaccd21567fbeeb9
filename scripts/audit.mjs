// `npm run audit`: known advisories for what the product is made of. Ends with 0: none; 1: some; 2: something could not be asked.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { ROOT } from './bootstrap.mjs'
import { judgeCargoAudit, judgeNpmAudit } from './supply/advisories.mjs'

const npm = spawnSync('npm', ['audit', '--json', '--omit=dev'], { cwd: ROOT, encoding: 'utf8' })
const cargo = spawnSync('cargo', ['audit', '--json'], { cwd: join(ROOT, 'guest', 'agent'), encoding: 'utf8' })
const answers = [judgeNpmAudit(npm.stdout ?? ''), judgeCargoAudit(cargo.stdout ?? '', cargo.stderr ?? '')]
for (const { what, state, text } of answers) console.log(`${what}: ${state === 'clean' ? 'no known advisories' : text}`)
const states = answers.map(({ state }) => state)
process.exitCode = states.includes('advisories') ? 1 : states.includes('unknown') ? 2 : 0
