/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sketch.h: what it promises, on random streams beside exact counts; shape.h. */
#include "policy/learn/shape.h"
#include "policy/learn/sketch.h"
#include "tests/unit/runner.h"

#include <math.h>
#include <stdio.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define KEYS 20000

static uint64_t random_state;
static uint64_t next_random(void) /* splitmix64 */
{
    uint64_t z = random_state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

static struct sketch sketch;
static uint64_t hash[KEYS];
static uint32_t exact[KEYS];

/* A stream in which some keys are frequent, below the period: never under the exact count, and over it by
 * more than e/w of the stream for no more keys than the bound says. */
static void bounds_hold(void)
{
    for (uint64_t seed = 1; seed < 6; seed++) {
        random_state = seed;
        uint32_t n = SKETCH_PERIOD - 1, under = 0, over = 0;
        memset(&sketch, 0, sizeof(sketch));
        memset(exact, 0, sizeof(exact));
        for (uint32_t i = 0; i < KEYS; i++)
            hash[i] = next_random();
        for (uint32_t i = 0; i < n; i++) {
            double u = (double)(next_random() >> 11) / 9007199254740992.0;
            uint32_t key = (uint32_t)(u * u * u * KEYS);
            exact[key]++;
            sketch_count(&sketch, hash[key]);
        }
        double slack = 2.718281828 * n / SKETCH_WIDTH;
        for (uint32_t i = 0; i < KEYS; i++) {
            under += sketch_estimate(&sketch, hash[i]) < exact[i];
            over += sketch_estimate(&sketch, hash[i]) > exact[i] + slack;
        }
        CU_ASSERT_EQUAL(under, 0);
        CU_ASSERT_TRUE(over <= KEYS * exp(-SKETCH_ROWS));
    }
}

/* Halved after a period: what went by weighs half, and the count begins again. */
static void ages(void)
{
    memset(&sketch, 0, sizeof(sketch));
    random_state = 77;
    uint64_t key = next_random();
    for (uint32_t i = 0; i < SKETCH_PERIOD - 1; i++)
        sketch_count(&sketch, key);
    CU_ASSERT_EQUAL(sketch_estimate(&sketch, key), SKETCH_PERIOD - 1);
    CU_ASSERT_EQUAL(sketch_count(&sketch, key), (SKETCH_PERIOD - 1) / 2 + 1);
    CU_ASSERT_EQUAL(sketch.counted, 0);
}

static void raised(void)
{
    memset(&sketch, 0, sizeof(sketch));
    sketch_raise(&sketch, 42, 7);
    CU_ASSERT_EQUAL(sketch_estimate(&sketch, 42), 7);
    sketch_raise(&sketch, 42, 3);
    CU_ASSERT_EQUAL(sketch_count(&sketch, 42), 8);
    sketch_raise(&sketch, 42, UINT32_MAX);
    CU_ASSERT_EQUAL(sketch_count(&sketch, 42), UINT32_MAX);
}

/* ---- shapes ---------------------------------------------------------------------------------------------
 */

static void shapes(void)
{
    static const struct {
        const char *name, *topic, *shape; /* levels; a digit string in <> is a set of variables */
    } cases[] = {
        {"a value is its variable", "fleet/truck-7/gps", "fleet,<3>,gps"},
        {"only whole levels", "fleet/truck-77/truck-7x", "fleet,truck-77,truck-7x"},
        {"empty levels count (4.7.3)", "/a//", ",a,,"},
        {"one level", "gps", "gps"},
        {"an empty value is nothing", "x//7", "x,,<4>"},
        {"wildcards of a filter are texts", "fleet/+/#", "fleet,+,#"},
    };
    const struct bytes values[] = {bytes_of_text("truck-7"), bytes_of_text("truck-7"), bytes_of_text("7"),
                                   bytes_of(NULL, 0), bytes_of_text("")};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct shape shape;
        char text[300] = "";
        uint32_t position = 0;
        CU_ASSERT_TRUE(shape_make(&shape, 5, bytes_of_text(cases[i].topic), values, COUNT(values)));
        CU_ASSERT_EQUAL(shape_action(&shape), 5);
        for (bool first = true;; first = false) {
            struct shape_level level = shape_next(&shape, &position);
            size_t used = strlen(text);
            if (level.kind == SHAPE_END)
                break;
            if (level.kind == SHAPE_VARIABLE)
                snprintf(text + used, sizeof(text) - used, "%s<%u>", first ? "" : ",", level.variables);
            else
                snprintf(text + used, sizeof(text) - used, "%s%.*s", first ? "" : ",", (int)level.text.len,
                         (const char *)level.text.at);
        }
        if (strcmp(text, cases[i].shape) != 0)
            fprintf(stderr, "%s: %s\n", cases[i].name, text);
        CU_ASSERT_STRING_EQUAL(text, cases[i].shape);
    }
}

static void shapes_are_bounded(void)
{
    struct shape shape;
    char topic[600];
    for (uint32_t n = 1; n < sizeof(topic); n++) {
        memset(topic, 'x', n);
        CU_ASSERT_EQUAL(shape_make(&shape, 0, bytes_of(topic, n), NULL, 0), n + 3 <= SHAPE_BYTES_MAX);
    }
    for (uint32_t n = 1; n < 40; n++) {
        for (uint32_t i = 0; i < 2 * n; i++)
            topic[i] = i % 2 == 0 ? 'a' : '/';
        CU_ASSERT_EQUAL(shape_make(&shape, 0, bytes_of(topic, 2 * n - 1), NULL, 0), n <= SHAPE_LEVELS_MAX);
    }
}

/* What is no shape ends, wherever it was cut or changed. */
static void no_shape(void)
{
    struct shape whole, shape;
    const struct bytes values[] = {bytes_of_text("b")};
    CU_ASSERT_TRUE(shape_make(&whole, 0, bytes_of_text("aaa/b/ccc"), values, 1));
    for (uint32_t cut = 0; cut <= whole.len; cut++)
        for (uint32_t value = 0; value < 256; value++) {
            uint32_t position = 0, levels = 0;
            shape = whole;
            shape.len = (uint8_t)cut;
            shape.at[cut % whole.len] = (uint8_t)value;
            while (shape_next(&shape, &position).kind != SHAPE_END && levels < 300)
                levels++;
            CU_ASSERT_TRUE(levels < 300);
        }
}

int main(void)
{
    static const struct unit_test tests[] = {
        {"the bounds of count-min hold on random streams", bounds_hold},
        {"counts are halved after a period", ages},
        {"an estimate is raised, and saturates", raised},
        {"topics become shapes (D4)", shapes},
        {"shapes are bounded", shapes_are_bounded},
        {"bytes that are no shape end", no_shape},
    };
    return unit_run("learn_sketch", tests, COUNT(tests));
}
