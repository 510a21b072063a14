/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Delays around locks, wake-ups and hand-overs, by a seed.
 *
 * The compiler includes this file before each file of the key service.  With
 * the boot parameter "perturb=17", a call of one of the functions below is
 * delayed before or after it, or not, as the seed 17 says.  The decision
 * depends on the place of the call and on how often it was made, and not on
 * time.  Without the parameter nothing is delayed.
 */

#ifndef _KEYAGENTS_PERTURB_H
#define _KEYAGENTS_PERTURB_H

#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/delay.h>
#include <linux/init.h>
#include <linux/jhash.h>
#include <linux/kernel.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/srcu.h>
#include <linux/timer.h>
#include <linux/wait_bit.h>
#include <linux/workqueue.h>

/* One call in so many is delayed. */
#define PERTURB_ONE_IN		8

/* The longest delays, in microseconds: of a sleep, and where none may be. */
#define PERTURB_MAX_SLEEP	2000
#define PERTURB_MAX_SPIN	50

static unsigned int perturb_seed __ro_after_init __maybe_unused;

static int __init __maybe_unused perturb_choose(char *value)
{
	int error = kstrtouint(value, 10, &perturb_seed);

	/* The same line of another file is another place. */
	if (!error && perturb_seed)
		perturb_seed = jhash(KBUILD_BASENAME, sizeof(KBUILD_BASENAME) - 1,
				     perturb_seed) | 1;
	return error;
}
early_param("perturb", perturb_choose);

static bool perturb_may_sleep(void)
{
	/* A task that has set its state is about to wait for something else. */
	return IS_ENABLED(CONFIG_PREEMPT_COUNT) && preemptible() &&
	       !rcu_preempt_depth() && task_is_running(current) &&
	       !is_idle_task(current);
}

static noinline __maybe_unused void perturb(unsigned int place, atomic_t *calls)
{
	u32 random;

	if (!perturb_seed || system_state != SYSTEM_RUNNING)
		return;
	random = jhash_2words(place, atomic_inc_return(calls), perturb_seed);
	if (random % PERTURB_ONE_IN)
		return;
	random /= PERTURB_ONE_IN;
	if (perturb_may_sleep()) {
		random %= PERTURB_MAX_SLEEP;
		usleep_range(random, random + 1);
	} else {
		udelay(random % PERTURB_MAX_SPIN);
	}
}

#define PERTURB(after) do {						\
	static atomic_t perturb_calls;					\
	perturb(2 * __LINE__ + (after), &perturb_calls);		\
} while (0)

#define PERTURBED(call) do {						\
	PERTURB(0);							\
	call;								\
	PERTURB(1);							\
} while (0)

#define PERTURBED_VALUE(call) ({					\
	PERTURB(0);							\
	typeof(call) perturb_value = (call);				\
	PERTURB(1);							\
	perturb_value;							\
})

/* Those that are macros themselves. */
static __always_inline void perturb_mutex_lock(struct mutex *lock)
{
	mutex_lock(lock);
}

static __always_inline int perturb_mutex_lock_killable(struct mutex *lock)
{
	return mutex_lock_killable(lock);
}

static __always_inline int perturb_mutex_lock_interruptible(struct mutex *lock)
{
	return mutex_lock_interruptible(lock);
}

#undef mutex_lock
#undef mutex_lock_killable
#undef mutex_lock_interruptible
#define mutex_lock(lock)	PERTURBED(perturb_mutex_lock(lock))
#define mutex_lock_killable(lock) \
	PERTURBED_VALUE(perturb_mutex_lock_killable(lock))
#define mutex_lock_interruptible(lock) \
	PERTURBED_VALUE(perturb_mutex_lock_interruptible(lock))

/* A macro is not expanded in itself. */
#define mutex_unlock(lock)	PERTURBED(mutex_unlock(lock))
#define spin_lock(lock)		PERTURBED(spin_lock(lock))
#define spin_unlock(lock)	PERTURBED(spin_unlock(lock))
#define down_read(lock)		PERTURBED(down_read(lock))
#define up_read(lock)		PERTURBED(up_read(lock))
#define down_write(lock)	PERTURBED(down_write(lock))
#define up_write(lock)		PERTURBED(up_write(lock))
#define downgrade_write(lock)	PERTURBED(downgrade_write(lock))
#define rcu_read_lock()		PERTURBED(rcu_read_lock())
#define rcu_read_unlock()	PERTURBED(rcu_read_unlock())
#define synchronize_srcu(srcu)	PERTURBED(synchronize_srcu(srcu))
#define synchronize_rcu()	PERTURBED(synchronize_rcu())

#define refcount_dec_and_test(count) \
	PERTURBED_VALUE(refcount_dec_and_test(count))
#define refcount_inc_not_zero(count) \
	PERTURBED_VALUE(refcount_inc_not_zero(count))

#define wake_up_bit(word, bit)	PERTURBED(wake_up_bit(word, bit))
#define queue_work(queue, work)	PERTURBED_VALUE(queue_work(queue, work))
#define schedule_work(work)	PERTURBED_VALUE(schedule_work(work))
#define queue_delayed_work(queue, work, delay) \
	PERTURBED_VALUE(queue_delayed_work(queue, work, delay))
#define mod_delayed_work(queue, work, delay) \
	PERTURBED_VALUE(mod_delayed_work(queue, work, delay))
#define queue_rcu_work(queue, work) \
	PERTURBED_VALUE(queue_rcu_work(queue, work))
#define mod_timer(timer, expires) \
	PERTURBED_VALUE(mod_timer(timer, expires))
#define timer_delete_sync(timer) \
	PERTURBED_VALUE(timer_delete_sync(timer))

#endif
