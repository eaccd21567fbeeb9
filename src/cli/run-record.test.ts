import { expect, test } from 'vitest'
import { z } from 'zod'
import { runRecordSchema } from './run-record.ts'

test('docs/run-result.schema.json says what the schema in the source says (vitest -u writes it anew)', async () => {
  const text = `${JSON.stringify(z.toJSONSchema(runRecordSchema), undefined, 2)}\n`
  await expect(text).toMatchFileSnapshot('../../docs/run-result.schema.json')
})
