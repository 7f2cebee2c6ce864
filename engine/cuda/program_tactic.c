#include "engine/cuda/program_tactic.h"

int pf_program_count_at(const int counts[static 6], int effort)
{
    return counts[effort < 0 ? 0 : effort > 5 ? 5 : effort];
}

void pf_program_prefer_images(const pf_problem *p, pf_layout from, pf_layout to, pf_layout *in, pf_layout *out)
{
    const pf_graph *graph = p->graph;

    for (uint32_t i = 0; i < graph->input_count; i++)
        in[i] = pf_graph_value(graph, graph->inputs[i])->shape.rank == 4 && !p->in_constant[i] ? from
                                                                                               : PF_LAYOUT_LINEAR;
    for (uint32_t i = 0; i < graph->output_count; i++)
        out[i] = pf_graph_value(graph, graph->outputs[i])->shape.rank == 4 ? to : PF_LAYOUT_LINEAR;
}

bool pf_program_prefers_channels_last(const pf_device *device, const pf_problem *p, uint32_t index, pf_layout *in,
                                      pf_layout *out)
{
    (void)device;
    if (index > 0) return false;
    pf_program_prefer_images(p, PF_LAYOUT_CHANNELS_LAST, PF_LAYOUT_CHANNELS_LAST, in, out);
    return true;
}
