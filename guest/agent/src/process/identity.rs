//! Who user programs run as.

/// uid and gid of the user in the guest.
pub const USER: (u32, u32) = (1_000, 1_000);
