export { Channel, type ChannelOptions } from './channel.ts'
export { type ChannelEnd, describeEnd } from './channel-end.ts'
export type { Exchange, ExchangeOptions, ReceiveStream, RequestOptions, StreamWriter } from './exchange-options.ts'
export {
  type GuestAnswer,
  type GuestExchange,
  type GuestMethods,
  guestMethod,
} from './guest-methods.ts'
export { type Hello, REFUSAL_CODES, type RefusalCode } from './guest-json.ts'
export {
  type ConnectErrorCode,
  type ConnectParams,
  connectParams,
  MOST_ADDRESSES,
  type ResolveParams,
  resolveParams,
  type ResolveStatus,
} from './network-requests.ts'
export { RequestRefusedError } from './request-refused-error.ts'
