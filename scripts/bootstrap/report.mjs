/** Colour only where somebody looks at a terminal: not in CI, not in a pipe, not against NO_COLOR. */
const colour = process.stdout.isTTY && process.env.NO_COLOR === undefined && !/^(1|true)$/i.test(process.env.CI ?? '')

const paint = (code) => (text) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text)

export const bold = paint('1')
export const dim = paint('2')
export const red = paint('31')
export const green = paint('32')

/** Prints one line of the report. */
export function say(text = '') {
  process.stdout.write(`${text}\n`)
}

/** A duration for people: milliseconds below a second, seconds below two minutes, minutes above. */
export function duration(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 120_000) return `${(ms / 1000).toFixed(1)} s`
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`
}
