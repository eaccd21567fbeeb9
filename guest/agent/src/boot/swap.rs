//! Swap into compressed memory (requirement C12).

use std::fs::{self, OpenOptions};
use std::io::Write as _;

use crate::error::{Step, StepError};
use crate::sys::machine::swap_on;

const PAGE_BYTES: usize = 4_096;
const DEVICE: &str = "/dev/zram0";

/// What may be swapped out, and what it may take of the memory when compressed.
const SWAP_PERCENT: u64 = 40;
const PHYSICAL_PERCENT: u64 = 20;

/// The first page of swap space (`union swap_header` of linux/swap.h): version 1, the last page's number, no bad pages.
#[must_use]
pub fn header(bytes: u64) -> Vec<u8> {
    let mut page = vec![0_u8; PAGE_BYTES];
    let last_page = u32::try_from(bytes / PAGE_BYTES as u64).unwrap_or(u32::MAX).saturating_sub(1);
    page[1_024..1_028].copy_from_slice(&1_u32.to_le_bytes());
    page[1_028..1_032].copy_from_slice(&last_page.to_le_bytes());
    page[PAGE_BYTES - 10..].copy_from_slice(b"SWAPSPACE2");
    page
}

pub fn enable(memory_bytes: u64) -> Result<(), StepError> {
    let page = PAGE_BYTES as u64;
    let disk = memory_bytes / 100 * SWAP_PERCENT / page * page;
    let physical = memory_bytes / 100 * PHYSICAL_PERCENT / page * page;
    let settings =
        [("comp_algorithm", "lz4".into()), ("disksize", disk.to_string()), ("mem_limit", physical.to_string())];
    for (name, value) in settings {
        fs::write(format!("/sys/block/zram0/{name}"), &value).step(&format!("setting {name} of zram0 to {value}"))?;
    }
    let mut device = OpenOptions::new().write(true).open(DEVICE).step("opening zram0")?;
    device.write_all(&header(disk)).step("writing the swap header")?;
    device.sync_all().step("writing the swap header")?;
    drop(device);
    swap_on(c"/dev/zram0").step("turning swap on")
}

#[cfg(test)]
mod tests {
    use super::header;

    #[test]
    fn the_header_names_the_last_page() {
        let page = header(100 * 4_096);
        assert_eq!(page.len(), 4_096);
        assert_eq!(page[1_028..1_032], 99_u32.to_le_bytes());
        assert!(page.ends_with(b"SWAPSPACE2"));
    }
}
