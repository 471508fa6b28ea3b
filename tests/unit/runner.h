/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The frame of every unit test program: one suite, a table of tests, CUnit's own summary, exit status 1 on
 * any failure. */
#ifndef TESTS_UNIT_RUNNER_H
#define TESTS_UNIT_RUNNER_H

#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>

struct unit_test {
    const char *name;
    void (*run)(void);
};

static inline int unit_run(const char *suite_name, const struct unit_test *tests, size_t n)
{
    if (CU_initialize_registry() != CUE_SUCCESS)
        return EXIT_FAILURE;
    CU_pSuite suite = CU_add_suite(suite_name, NULL, NULL);
    for (size_t i = 0; suite != NULL && i < n; i++)
        if (CU_add_test(suite, tests[i].name, tests[i].run) == NULL)
            suite = NULL;
    if (suite == NULL) {
        CU_cleanup_registry();
        return EXIT_FAILURE;
    }
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned int failed = CU_get_number_of_failures() + CU_get_number_of_suites_failed();
    unsigned int ran = CU_get_number_of_tests_run();
    CU_cleanup_registry();
    return failed == 0 && ran == n ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Ends a program of which only a part could run: meson tells it as skipped, unless that part has failed. */
static inline int unit_skipped(int result, const char *what, const char *why)
{
    printf("skipped: %s: %s\n", what, why);
    return result == EXIT_SUCCESS ? 77 : result;
}

#endif
