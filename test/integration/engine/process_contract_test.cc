#include "test/integration/engine/process_fixture.h"
#include "test/support/engine/contract_exec.h"

namespace cube::engine {
namespace {

INSTANTIATE_TYPED_TEST_SUITE_P(Process, EngineContract, ProcessFixture);
INSTANTIATE_TYPED_TEST_SUITE_P(Process, EngineExecContract, ProcessFixture);

// As on kernels without pidfd.
class ProcessFixtureWithoutPidfd : public ProcessFixture {
 public:
  ProcessFixtureWithoutPidfd() { use_pidfd = false; }
};
INSTANTIATE_TYPED_TEST_SUITE_P(ProcessWithoutPidfd, EngineContract, ProcessFixtureWithoutPidfd);

}  // namespace
}  // namespace cube::engine
