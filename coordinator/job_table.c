#include "coordinator/job_table.h"

#include <string.h>

#include "base/alloc.h"

void pf_job_table_init(pf_job_table *table, const uint8_t seed[PF_INDEX_SEED_BYTES])
{
    memset(table, 0, sizeof *table);
    pf_index_init(&table->pages, offsetof(pf_job_page, number), sizeof(uint64_t), seed);
}

void pf_job_table_clear(pf_job_table *table)
{
    while (table->oldest) {
        pf_job_page *newer = table->oldest->newer;
        pf_free(table->oldest);
        table->oldest = newer;
    }
    table->newest = NULL;
    table->count = 0;
    pf_index_clear(&table->pages);
}

bool pf_job_table_reserve(pf_job_table *table, uint64_t count)
{
    return pf_index_reserve(&table->pages, count / PF_JOB_PAGE_JOBS);
}

static pf_job_page *find_page(const pf_job_table *table, uint64_t id)
{
    uint64_t number = id / PF_JOB_PAGE_JOBS;

    if (table->newest && table->newest->number == number)
        return table->newest;
    return pf_index_find(&table->pages, &number);
}

/* Nearly always above all others. */
static void link_page(pf_job_table *table, pf_job_page *page)
{
    for (page->older = table->newest; page->older && page->older->number > page->number;
         page->older = page->older->older)
        page->newer = page->older;
    if (page->older)
        page->older->newer = page;
    else
        table->oldest = page;
    if (page->newer)
        page->newer->older = page;
    else
        table->newest = page;
}

static pf_job_page *add_page(pf_job_table *table, uint64_t id)
{
    pf_job_page *page = pf_calloc(1, sizeof *page);

    if (!page)
        return NULL;
    page->number = id / PF_JOB_PAGE_JOBS;
    if (!pf_index_add(&table->pages, page)) {
        pf_free(page);
        return NULL;
    }
    link_page(table, page);
    return page;
}

static void remove_page(pf_job_table *table, pf_job_page *page)
{
    if (page->newer)
        page->newer->older = page->older;
    else
        table->newest = page->older;
    if (page->older)
        page->older->newer = page->newer;
    else
        table->oldest = page->newer;
    pf_index_remove(&table->pages, &page->number);
    pf_free(page);
}

bool pf_job_table_add(pf_job_table *table, uint64_t id, struct pf_job *job)
{
    pf_job_page *page = find_page(table, id);

    if (!page)
        page = add_page(table, id);
    if (!page)
        return false;
    page->job[id % PF_JOB_PAGE_JOBS] = job;
    page->count++;
    table->count++;
    return true;
}

void pf_job_table_remove(pf_job_table *table, uint64_t id)
{
    pf_job_page *page = find_page(table, id);

    page->job[id % PF_JOB_PAGE_JOBS] = NULL;
    table->count--;
    if (--page->count == 0)
        remove_page(table, page);
}

struct pf_job *pf_job_table_find(const pf_job_table *table, uint64_t id)
{
    const pf_job_page *page = find_page(table, id);

    return page ? page->job[id % PF_JOB_PAGE_JOBS] : NULL;
}

/* A page that is not there has no neighbours to go on from: only then are the others walked. */
static const pf_job_page *page_from(const pf_job_table *table, uint64_t id, bool up)
{
    const pf_job_page *page = find_page(table, id);
    uint64_t           number = id / PF_JOB_PAGE_JOBS;

    if (page)
        return page;
    page = up ? table->oldest : table->newest;
    while (page && (up ? page->number < number : page->number > number))
        page = up ? page->newer : page->older;
    return page;
}

struct pf_job *pf_job_table_above(const pf_job_table *table, uint64_t id)
{
    for (const pf_job_page *page = page_from(table, id, true); page; page = page->newer)
        for (uint32_t i = page->number == id / PF_JOB_PAGE_JOBS ? id % PF_JOB_PAGE_JOBS + 1 : 0; i < PF_JOB_PAGE_JOBS;
             i++)
            if (page->job[i])
                return page->job[i];
    return NULL;
}

struct pf_job *pf_job_table_below(const pf_job_table *table, uint64_t id)
{
    for (const pf_job_page *page = page_from(table, id, false); page; page = page->older)
        for (uint32_t i = page->number == id / PF_JOB_PAGE_JOBS ? id % PF_JOB_PAGE_JOBS : PF_JOB_PAGE_JOBS; i-- > 0;)
            if (page->job[i])
                return page->job[i];
    return NULL;
}
