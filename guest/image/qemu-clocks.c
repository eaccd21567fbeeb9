// SPDX-License-Identifier: GPL-2.0
/*
 * Kernel parameter lapic_timer_khz=: the frequency of the local APIC's timer, and the TSC's frequency by way of it.
 *
 * Under QEMU's emulation there is no kvm-clock, no TSC deadline timer, no HPET and no PM timer. The kernel then measures the TSC against
 * the PIT, which fails whenever the host is busy and leaves the guest with a clock that steps by 4 ms; and it measures
 * the local APIC's timer, for a fifth of a second of every boot. But QEMU's local APIC counts nanoseconds by definition, so the
 * host passes lapic_timer_khz=1000000, and that timer is the reference for the TSC.
 *
 * The image build adds this file to arch/x86/kernel of the kernel's source. It uses only what the kernel offers its platforms: setting
 * lapic_timer_period (as jailhouse.c does) and the calibration hooks of x86_platform.
 */
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/math64.h>
#include <asm/apic.h>
#include <asm/cpufeature.h>
#include <asm/early_ioremap.h>
#include <asm/tsc.h>
#include <asm/x86_init.h>

/* Length of the measurement. An error of 0.5 us at each end makes 100 ppm of it. */
#define WINDOW_MS 10
/* Reads at each end, of which the least disturbed one counts: a host that takes the CPU away spoils single reads only. */
#define READS 64
/* Gives up after 2^33 TSC ticks, some seconds: the timer does not count. */
#define PATIENCE (1ULL << 33)

static unsigned int lapic_khz __initdata;

static u64 __init read_both(void __iomem *apic, u32 *count)
{
	u64 best = U64_MAX, at = 0;
	int i;

	for (i = 0; i < READS; i++) {
		u64 before = rdtsc_ordered();
		u32 now = readl(apic + APIC_TMCCT);
		u64 after = rdtsc_ordered();

		if (after - before < best) {
			best = after - before;
			at = before + best / 2;
			*count = now;
		}
	}
	return at;
}

static unsigned long __init measure_tsc(void __iomem *apic)
{
	u32 first, last, window = lapic_khz * WINDOW_MS;
	u64 begin, end;

	writel(APIC_LVT_MASKED, apic + APIC_LVTT);
	writel(APIC_TDR_DIV_1, apic + APIC_TDCR);
	writel(U32_MAX, apic + APIC_TMICT);
	begin = read_both(apic, &first);
	while (first - readl(apic + APIC_TMCCT) < window)
		if (rdtsc_ordered() - begin > PATIENCE)
			return 0;
	end = read_both(apic, &last);
	writel(0, apic + APIC_TMICT);
	return div64_u64((end - begin) * lapic_khz, first - last);
}

/* The kernel asks twice, for the CPU's and for the TSC's frequency: here they are one. */
static unsigned long __init calibrate_by_lapic(void)
{
	static unsigned long khz __initdata;
	void __iomem *apic;

	if (khz)
		return khz;
	apic = early_ioremap(APIC_DEFAULT_PHYS_BASE, PAGE_SIZE);
	if (!apic)
		return native_calibrate_cpu_early();
	khz = measure_tsc(apic);
	early_iounmap(apic, PAGE_SIZE);
	if (!khz)
		return native_calibrate_cpu_early();
	setup_force_cpu_cap(X86_FEATURE_TSC_KNOWN_FREQ);
	return khz;
}

static int __init set_lapic_timer_khz(char *arg)
{
	/* A count of WINDOW_MS and a busy host's delay must fit into 32 bits. */
	if (!arg || kstrtouint(arg, 10, &lapic_khz) || lapic_khz < 1000 || lapic_khz > 1000000)
		return -EINVAL;
	lapic_timer_period = lapic_khz * (1000 / HZ);
	x86_platform.calibrate_cpu = calibrate_by_lapic;
	x86_platform.calibrate_tsc = calibrate_by_lapic;
	return 0;
}
early_param("lapic_timer_khz", set_lapic_timer_khz);
