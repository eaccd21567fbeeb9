// `npm start`: sets up what is missing, then shows the product at work.
import { bootstrap, main } from './bootstrap.mjs'
import { bold, say } from './bootstrap/report.mjs'

await main(async () => {
  say(bold('exec-sandbox: setting up'))
  await bootstrap()
  // Only now: the demonstration imports the product, which the lines above have compiled.
  const { demonstrate } = await import('./demo/demonstrate.mjs')
  return await demonstrate()
})
