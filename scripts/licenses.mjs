// Writes THIRD-PARTY-LICENSES.md.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './bootstrap.mjs'
import { renderLicenses } from './supply/licenses.mjs'

writeFileSync(join(ROOT, 'THIRD-PARTY-LICENSES.md'), renderLicenses(ROOT))
