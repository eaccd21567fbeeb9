// SPDX-License-Identifier: GPL-2.0
/*
 * Kernel parameter lapic_timer_khz=: the frequency of the local APIC's timer.
 *
 * Without a TSC deadline timer (QEMU's emulation has none) the kernel measures that frequency at every boot, for a fifth of a second. In
 * QEMU it is a constant: its local APIC counts nanoseconds, so the host passes lapic_timer_khz=1000000. A platform that
 * knows the frequency sets lapic_timer_period, as arch/x86/kernel/jailhouse.c does; this file does the same from the command line.
 *
 * The image build adds this file to arch/x86/kernel of the kernel's source.
 */
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <asm/apic.h>

static int __init set_lapic_timer_khz(char *arg)
{
	unsigned int khz;

	if (!arg || kstrtouint(arg, 10, &khz) || khz < 1000)
		return -EINVAL;
	lapic_timer_period = khz * (1000 / HZ);
	return 0;
}
early_param("lapic_timer_khz", set_lapic_timer_khz);
