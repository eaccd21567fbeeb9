import { z } from 'zod'
import { InvalidInputError } from '../base/index.ts'
import { signalProgram, startRepl, stopRepl, type Vm } from '../vm/index.ts'
import { CallQueue } from './call-queue.ts'
import { type Language, parseLanguage } from './language.ts'
import type { Lifetime } from './lifetime.ts'
import { contextName } from './options.ts'
import { parseOptions, signal } from './parse-options.ts'

/** Names an interpreter of a sandbox. */
export interface ContextOptions {
  /** @default the sandbox's language */
  readonly language?: string
  /** @default 'default' */
  readonly context?: string
  readonly signal?: AbortSignal
}

export interface ContextInfo {
  readonly language: Language
  readonly context: string
  /** Code runs in it now. */
  readonly busy: boolean
  /** Calls that wait for their turn. */
  readonly waiting: number
}

/** The context a call uses unless it names another. */
const DEFAULT_CONTEXT = 'default'

/** Contexts that one sandbox keeps queues for; the agent has the same bound on interpreters. */
const MAX_CONTEXTS = 64

const SIGINT = 2

const contextSchema = z.strictObject({
  language: z.string().optional(),
  context: contextName.optional(),
  signal: signal.optional(),
})

/** One interpreter: what it is called, who waits for it, and what runs in it. */
export class Context {
  readonly language: Language
  readonly name: string
  readonly queue = new CallQueue()
  /** The exchange of the run whose turn it is. */
  running: number | undefined
  /** To be forgotten as soon as nothing runs in it. */
  removed = false
  /** A call that nobody waited for any more cost the state: the next result tells it. */
  lost = false

  constructor(language: Language, name: string) {
    this.language = language
    this.name = name
  }
}

/**
 * The interpreters of a sandbox: any language, any number (at most 64) beside each other, each with a state and a line
 * of calls of its own. One comes into being with the first call that names it.
 */
export class Contexts {
  readonly #vm: Vm
  readonly #life: Lifetime
  readonly #language: Language
  readonly #contexts = new Map<string, Context>()

  /** @param language of calls that name none */
  constructor(vm: Vm, life: Lifetime, language: Language) {
    this.#vm = vm
    this.#life = life
    this.#language = language
    // Each that waited finds the sandbox ended, even if the call before it is held up by a callback of its own.
    void life.closed.then(() => {
      for (const { queue } of this.#contexts.values()) queue.open()
    })
  }

  /** Those that have been used and not removed. */
  list(): readonly ContextInfo[] {
    return [...this.#contexts.values()].map(({ language, name, queue, running }) => ({
      language,
      context: name,
      busy: running !== undefined,
      waiting: queue.waiting,
    }))
  }

  /**
   * Interrupts what runs in a context as Ctrl-C would. The call ends as the program lets it: most with exit code 130 and
   * their state kept.
   * @returns whether a program was running to get it
   */
  async interrupt(options: ContextOptions = {}): Promise<boolean> {
    const { language, name, signal: aborted } = this.#named(options)
    const running = this.#contexts.get(keyOf(language, name))?.running
    return await this.#life.busy(
      async () =>
        running !== undefined && (await this.#asked(signalProgram(this.#vm.channel, running, SIGINT, aborted))),
    )
  }

  /**
   * Ends the interpreter of a context at once, and starts a new one. A call that runs in it ends with the state lost;
   * calls that wait go on in the new one. Other contexts notice nothing.
   */
  async restart(options: ContextOptions = {}): Promise<void> {
    const { language, name, signal: aborted } = this.#named(options)
    await this.#life.busy(async () => {
      this.obtain(language, name)
      const repl = { language, context: name, signal: aborted }
      await this.#asked(stopRepl(this.#vm.channel, repl))
      await this.#asked(startRepl(this.#vm.channel, repl))
    })
  }

  /** Ends the interpreter of a context and forgets it. The next call that names it finds a new one. */
  async remove(options: ContextOptions = {}): Promise<void> {
    const { language, name, signal: aborted } = this.#named(options)
    await this.#life.busy(async () => {
      await this.#asked(stopRepl(this.#vm.channel, { language, context: name, signal: aborted }))
      const context = this.#contexts.get(keyOf(language, name))
      if (context === undefined) return
      context.removed = true
      this.settle(context)
    })
  }

  /** Forgets a context that was removed, once nothing runs in it; one with calls in line is about to be used again. */
  settle(context: Context): void {
    if (!context.removed || context.running !== undefined || context.queue.waiting > 0) return
    const key = keyOf(context.language, context.name)
    if (this.#contexts.get(key) === context) this.#contexts.delete(key)
  }

  /**
   * The context of a call.
   * @throws InvalidInputError when there are too many
   */
  obtain(language = this.#language, name = DEFAULT_CONTEXT): Context {
    const key = keyOf(language, name)
    const known = this.#contexts.get(key)
    if (known !== undefined) {
      known.removed = false
      return known
    }
    if (this.#contexts.size >= MAX_CONTEXTS) {
      throw new InvalidInputError(
        `context: expected at most ${MAX_CONTEXTS} contexts in one sandbox; contexts.remove makes room`,
        { field: 'context' },
      )
    }
    const context = new Context(language, name)
    this.#contexts.set(key, context)
    return context
  }

  #named(options: ContextOptions): { language: Language; name: string; signal: AbortSignal | undefined } {
    parseOptions(contextSchema, options)
    return {
      language: options.language === undefined ? this.#language : parseLanguage(options.language),
      name: options.context ?? DEFAULT_CONTEXT,
      signal: options.signal,
    }
  }

  async #asked<T>(request: Promise<T>): Promise<T> {
    try {
      return await request
    } catch (error) {
      throw await this.#vm.explain(error, false)
    }
  }
}

function keyOf(language: Language, name: string): string {
  return `${language}/${name}`
}
