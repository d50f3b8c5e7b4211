// The contract of engine.h on a real Docker engine.
#include "test/support/engine/contract.h"
#include "test/support/engine/contract_exec.h"
#include "test/support/engine/docker_fixture.h"

namespace cube::engine {

INSTANTIATE_TYPED_TEST_SUITE_P(Docker, EngineContract, DockerFixture);
INSTANTIATE_TYPED_TEST_SUITE_P(Docker, EngineExecContract, DockerFixture);

}  // namespace cube::engine
