/** A layer as hosts exchange it: its disk's digest and size, and what it says about itself, which may be anything. */
export interface ExchangedLayer {
  readonly sha256: string
  readonly bytes: number
  readonly manifest: Readonly<Record<string, unknown>>
}

/** How a layer is to be fetched. */
export interface LayerFetch {
  /** The file to fill: it exists and is empty, and is so again when nothing comes of it. */
  readonly file: string
  /** Sees to it that so many bytes can be written. */
  readonly room: (bytes: number) => Promise<void>
  /** Says what is wrong with what is offered, before it is fetched. */
  readonly check: (offered: ExchangedLayer) => string | undefined
  readonly signal: AbortSignal
}

/** Where hosts exchange layers. Behind it is src/remote, a neighbour, which src/packages knows. */
export interface LayerExchange {
  /** The layer of a key in the file, with this digest and size; undefined when there is none or it is not to be had. */
  fetch(key: string, how: LayerFetch): Promise<ExchangedLayer | undefined>
  /** Offers a layer to the others, in the background. Returns at once. */
  publish(key: string, layer: ExchangedLayer & { readonly file: string }): void
}
