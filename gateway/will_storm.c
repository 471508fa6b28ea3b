/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gateway/will_storm.h"

bool will_storm_feed(struct will_storm *storm, const struct rate *threshold, uint64_t ends, uint64_t now_us)
{
    uint64_t before = storm->seen, fresh = ends - before;
    storm->seen = ends;
    if (threshold->amount == 0) {
        storm->raised = false;
        return false;
    }
    /* More than a burst at once would pass a full bucket and leave a debt. */
    bool over = fresh > threshold->burst || !rate_limit_take(&storm->bucket, threshold, fresh, now_us);
    if (over) {
        /* The bucket is emptied, so that the storm is over when no more came for a whole burst's time. */
        (void)rate_limit_take(&storm->bucket, threshold, 0, now_us);
        storm->bucket.level = 0;
    } else if (storm->raised && rate_limit_allows(&storm->bucket, threshold, threshold->burst, now_us)) {
        storm->raised = false;
    }
    bool tell = over && !storm->raised;
    if (tell) {
        storm->raised = true;
        storm->since = before;
    }
    return tell;
}

uint64_t will_storm_ends(const struct will_storm *storm)
{
    return storm->raised ? storm->seen - storm->since : 0;
}
