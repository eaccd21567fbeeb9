// SPDX-License-Identifier: GPL-2.0
/*
 * KASLR for the PVH entry: the kernel moves itself to a random virtual address.
 *
 * On a PC the decompressor in front of the kernel chooses the address and applies the relocations. QEMU starts our kernel directly, by
 * its PVH entry, so nobody would. This does it in the decompressor's stead: it is called at the end of the PVH entry, on the identity mapping, before
 * startup_64, which finds out by itself where it stands. Only the virtual address changes, as it does there for a kernel
 * that stays where it was loaded; 2 MB steps within the 1 GB that a kernel image may use.
 *
 * The image build adds this file to arch/x86/platform/pvh of the kernel's source and a call of it to head.S there, and writes the
 * table that arch/x86/tools/relocs made (vmlinux.relocs, whose format arch/x86/boot/compressed/misc.c documents) into
 * relocations.entries. Nothing in here may use an absolute address: the code runs where its addresses do not yet hold, and
 * while they change.
 */
#include <linux/bits.h>
#include <linux/init.h>
#include <linux/pgtable.h>
#include <linux/types.h>
#include <asm/asm.h>
#include <asm/boot.h>
#include <asm/bootparam.h>
#include <asm/msr.h>
#include <asm/page_types.h>
#include <asm/processor-flags.h>
#include <asm/sections.h>
#include <asm/special_insns.h>

/* Words of the table, a third more than today; the image build says when they are too few. */
#define CAPACITY 65536
/* The CPUID leaf and its bit in ecx that say RDRAND (Intel SDM, CPUID). */
#define FEATURE_LEAF 1
#define FEATURE_RDRAND BIT(30)
/* RDRAND may have nothing for a moment; after ten times it is broken (Intel SDM, 7.3.17). */
#define RDRAND_TRIES 10

extern struct boot_params pvh_bootparams;
void pvh_randomize_base(void);

/* Aligned to the right: the table is read backwards up to a zero word, for each of its three kinds. */
struct {
	char mark[32];
	u32 capacity;
	s32 entries[CAPACITY];
} exec_sandbox_relocations __initdata = { "exec-sandbox kernel relocations", CAPACITY, {} };

/* An identity mapping of the first GB: the one of the PVH entry holds addresses that are relocated. */
static pgdval_t identity_pgd[PTRS_PER_PGD] __initdata __aligned(PAGE_SIZE);
static pudval_t identity_pud[PTRS_PER_PUD] __initdata __aligned(PAGE_SIZE);
static pmdval_t identity_pmd[PTRS_PER_PMD] __initdata __aligned(PAGE_SIZE);

static __always_inline void use_identity_mapping(void)
{
	pgdval_t *pgd = rip_rel_ptr(identity_pgd);
	pudval_t *pud = rip_rel_ptr(identity_pud);
	pmdval_t *pmd = rip_rel_ptr(identity_pmd);
	unsigned long i;

	for (i = 0; i < PTRS_PER_PMD; i++)
		pmd[i] = (i << PMD_SHIFT) | _PAGE_PRESENT | _PAGE_RW | _PAGE_PSE;
	pud[0] = (unsigned long)pmd | _PAGE_PRESENT | _PAGE_RW;
	pgd[0] = (unsigned long)pud | _PAGE_PRESENT | _PAGE_RW;
	asm volatile("mov %0, %%cr3" : : "r"(pgd) : "memory");
}

/* As kaslr_get_random_long() without its last resort: a processor of today has RDRAND or a TSC. */
static __always_inline unsigned long random_long(void)
{
	u32 eax = FEATURE_LEAF, ebx, ecx = 0, edx;
	unsigned long raw, random = rdtsc();
	bool ok;
	int i;

	asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	for (i = 0; (ecx & FEATURE_RDRAND) && i < RDRAND_TRIES; i++) {
		asm volatile("rdrand %0" : "=r"(raw), "=@ccc"(ok));
		if (ok) {
			random ^= raw;
			break;
		}
	}
	asm("mulq %3" : "=a"(random), "=d"(raw) : "a"(random), "rm"(0x5d6008cbf3848dd3UL) : "cc");
	return random + raw;
}

/* Where an entry points, on the identity mapping; a table that points out of the kernel is not ours: the VM ends. */
static __always_inline void *target(s32 entry, unsigned long text, unsigned long end)
{
	unsigned long at = text + ((long)entry - (long)(__START_KERNEL_map + LOAD_PHYSICAL_ADDR));

	if (at < text || at >= end)
		asm volatile("ud2");
	return (void *)at;
}

void __init __no_stack_protector pvh_randomize_base(void)
{
	unsigned long text = (unsigned long)rip_rel_ptr(_text);
	unsigned long end = (unsigned long)rip_rel_ptr(__bss_start);
	unsigned long size = (unsigned long)rip_rel_ptr(_end) - text;
	unsigned long slots = (KERNEL_IMAGE_SIZE - LOAD_PHYSICAL_ADDR - size) / CONFIG_PHYSICAL_ALIGN + 1;
	unsigned long delta = random_long() % slots * CONFIG_PHYSICAL_ALIGN;
	s32 *entry = (s32 *)rip_rel_ptr(exec_sandbox_relocations.entries) + CAPACITY;
	struct boot_params *params = rip_rel_ptr(&pvh_bootparams);

	use_identity_mapping();
	while (*--entry)
		*(u32 *)target(*entry, text, end) += delta;
	while (*--entry)
		*(u32 *)target(*entry, text, end) -= delta;
	while (*--entry)
		*(u64 *)target(*entry, text, end) += delta;
	/* Tells the kernel to randomize its other areas, too, and to say in a panic how far it was moved. */
	params->hdr.loadflags |= KASLR_FLAG;
}
