// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The least that can answer for keyagentd --exec: copies its standard input, the callout information, to its standard
 * output, as the payload. No C library, no dynamic linking.
 */

#include <asm/unistd.h>

static long call(long number, long a, long b, long c)
{
	long answer;

	asm volatile("syscall"
		     : "=a"(answer)
		     : "a"(number), "D"(a), "S"(b), "d"(c)
		     : "rcx", "r11", "memory");
	return answer;
}

static int copy(void)
{
	static char bytes[4096];
	long length;

	while ((length = call(__NR_read, 0, (long)bytes, sizeof(bytes))) > 0)
		if (call(__NR_write, 1, (long)bytes, length) != length)
			return 3;
	return length == 0 ? 0 : 2;
}

__attribute__((used)) static void start(void)
{
	int status = copy();

	for (;;)
		call(__NR_exit_group, status, 0, 0);
}

asm(".globl _start\n_start:\n\tand $-16, %rsp\n\tcall start\n");
