/** Sections of a configuration file, each with its keys; keys before the first section stand in the section ''. */
export type IniSections = ReadonlyMap<string, ReadonlyMap<string, string>>

/**
 * Reads the ini files of pip (Python's configparser) and npm as far as settings of an index need it: sections, `key = value`
 * with the delimiters given, comments, and lines that go on because they are indented.
 * What is no such line is left out: the tools themselves complain about it. Pure.
 */
export function parseIni(
  text: string,
  options: { readonly continuations: boolean; readonly delimiters: RegExp },
): IniSections {
  const sections = new Map<string, Map<string, string>>()
  let section = sectionOf(sections, '')
  let last: string | undefined
  for (const line of text.split(/\r?\n/)) {
    const trimmed = line.trim()
    if (trimmed === '' || /^[#;]/.test(trimmed)) continue
    const header = /^\[([^\]]*)\]$/.exec(trimmed)?.[1]
    if (header !== undefined) {
      section = sectionOf(sections, header.trim())
      last = undefined
    } else if (options.continuations && /^\s/.test(line) && last !== undefined) {
      section.set(last, `${section.get(last) ?? ''}\n${trimmed}`)
    } else {
      const at = trimmed.search(options.delimiters)
      if (at <= 0) continue
      last = trimmed.slice(0, at).trim()
      section.set(last, unquote(trimmed.slice(at + 1).trim()))
    }
  }
  return sections
}

function sectionOf(sections: Map<string, Map<string, string>>, name: string): Map<string, string> {
  const existing = sections.get(name)
  if (existing !== undefined) return existing
  const made = new Map<string, string>()
  sections.set(name, made)
  return made
}

function unquote(value: string): string {
  return /^(["']).*\1$/s.test(value) && value.length >= 2 ? value.slice(1, -1) : value
}
