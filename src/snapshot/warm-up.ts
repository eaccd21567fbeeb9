/**
 * The programs that each interpreter runs before its template is saved, so that the usual modules and code are loaded in
 * every VM that is resumed. None leaves a name in the user's namespace. The second run is a short one: what an interpreter
 * does once, after its first program, has then been done (6 000 translated blocks fewer in JavaScript's first result).
 */
export function warmUpPrograms(language: string): readonly string[] {
  const program = PROGRAMS[language]
  if (program === undefined) throw new TypeError(`no warm-up program for ${language}`)
  return [program, firstProgram(language)]
}

/**
 * The program that imports packages of a layer before its template is saved. It never fails: what cannot be imported says so to
 * whoever imports it. Undefined for a language whose packages are not imported ahead (docs/decisions/0017-packages.md).
 */
export function importProgram(language: string, imports: readonly string[]): string | undefined {
  if (language !== 'python' || imports.length === 0) return undefined
  return [
    'exec("""',
    'import importlib',
    `for name in ${JSON.stringify(imports)}:`,
    '    try:',
    '        importlib.import_module(name)',
    '    except BaseException:',
    '        pass',
    '""", {})',
  ].join('\n')
}

/** A first run: what a VM of a pool does before it counts as ready. Short, because all that it touches stays in memory. */
export function firstProgram(language: string): string {
  const program = FIRST_PROGRAMS[language]
  if (program === undefined) throw new TypeError(`no first program for ${language}`)
  return program
}

const FIRST_PROGRAMS: Readonly<Record<string, string>> = {
  python: 'print(6 * 7)',
  javascript: 'console.log(6 * 7)',
  // The last word leaves `$_` as a fresh bash has it.
  bash: 'echo $((6 * 7)); : :',
}

/**
 * Run before any template is saved, as `commands.run` runs it: bash and what it loads are then in the guest's memory in every
 * VM that is resumed (the first command of a Python sandbox: 186 to 96 ms). The file tool and the agent always are.
 */
export const WARM_COMMAND: readonly string[] = ['/bin/bash', '-c', 'ls / | cat']

const PYTHON_MODULES = [
  'base64, collections, contextlib, copy, csv, dataclasses, datetime, decimal, enum, functools, hashlib, io, itertools',
  'json, logging, math, operator, os, pathlib, random, re, shutil, statistics, string, struct, subprocess, sys, tempfile',
  'textwrap, threading, time, traceback, typing, urllib.parse, uuid',
].join(', ')

const PROGRAMS: Readonly<Record<string, string>> = {
  // Run in a namespace of its own: `exec` leaves nothing behind, and its value is None, which is not displayed.
  python: [
    'exec("""',
    `import ${PYTHON_MODULES}`,
    'json.loads(json.dumps({"a": [1, 2.5, None, True, "x"]}))',
    're.match(r"(\\\\w+)-(\\\\d+)", "warm-42").groups()',
    'print(f"{6 * 7}", file=sys.stderr)',
    '""", {})',
    'print(6 * 7)',
  ].join('\n'),
  javascript: [
    'await (async (): Promise<void> => {',
    '  const { readFile } = await import("node:fs/promises")',
    '  await readFile("/etc/hostname", "utf8")',
    '  JSON.parse(JSON.stringify({ a: [1, 2.5, null, true, "x"] }))',
    '  console.error(6 * 7)',
    '})()',
    'console.log(6 * 7)',
  ].join('\n'),
  bash: 'echo $((6 * 7)); (echo warm; ls /tmp) | cat >/dev/null; : :',
}
