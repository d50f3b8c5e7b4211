// Answers cube.query.jobs from the view. A part of query_service.h.
#pragma once

#include <cube/v1/queries.pb.h>

#include "shared/cluster/view.h"

namespace cube::manager {

// Jobs in the order of their names: those that have not ended, or all whose template is still
// known; `match`: only the one with exactly this name (kNotFound if there is none).
void AnswerJobs(const View& view, const v1::QueryRequest& request, v1::QueryReply& reply);

}  // namespace cube::manager
