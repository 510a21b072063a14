// SPDX-License-Identifier: GPL-2.0-only
/*
 * Selector of the mutants that are compiled into this kernel.
 *
 * The boot parameter "mutant=17" chooses the mutant 17.  Without it, none is.
 * The file mutants/reached in debugfs has the numbers of those that have been
 * reached since the boot, one a line.
 */

#include <linux/cache.h>
#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/seq_file.h>

#define MUTANT_MAX	65535

bool mutant(unsigned int number);

static unsigned int mutant_chosen __ro_after_init;
static u8 mutant_reached[MUTANT_MAX + 1];

/*
 * Out of line, since there are thousands of calls.  Called in any context, and
 * by several processors at once.
 */
noinline bool mutant(unsigned int number)
{
	WRITE_ONCE(mutant_reached[number], 1);
	return unlikely(number == mutant_chosen);
}

static int __init mutant_choose(char *value)
{
	return kstrtouint(value, 10, &mutant_chosen);
}
early_param("mutant", mutant_choose);

static int mutant_reached_show(struct seq_file *m, void *v)
{
	unsigned int number;

	for (number = 1; number <= MUTANT_MAX; number++)
		if (READ_ONCE(mutant_reached[number]))
			seq_printf(m, "%u\n", number);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(mutant_reached);

static int __init mutant_init(void)
{
	debugfs_create_file("reached", 0400,
			    debugfs_create_dir("mutants", NULL), NULL,
			    &mutant_reached_fops);
	return 0;
}
late_initcall(mutant_init);
