#include "services/worker/engines.h"

#include <cstdlib>

#include "services/worker/engine/docker/docker_engine.h"
#include "services/worker/engine/probe/socket_prober.h"
#include "services/worker/engine/process/process_engine.h"
#include "services/worker/engine/sim/sim_driver.h"
#include "services/worker/saved_output.h"
#include "shared/base/check.h"
#include "shared/domain/rules.h"
#include "shared/runtime/files.h"

namespace cube::worker {

struct Engines::Simulation {
  engine::SimDriver driver;
};

Engines::Engines() = default;
Engines::Engines(Engines&&) noexcept = default;
Engines& Engines::operator=(Engines&&) noexcept = default;
Engines::~Engines() = default;

Result<Engines> Engines::Make(const Flags& flags, const std::string& node_dir,
                              const std::function<void(FromEngine)>& sink,
                              const engine::ProbeSink& probed) {
  Engines engines;
  CUBE_TRY(engines.sockets_, engine::SocketProber::Make(probed));
  for (const std::string& kind : flags.engines) {
    const auto commands = std::make_shared<engine::ExecProber>(probed);
    engine::Sink to = [sink, kind, commands](engine::Event event) {
      if (!commands->Take(event)) sink({kind, std::move(event)});
    };
    if (kind == "docker") {
      CUBE_TRY(auto endpoint, engine::docker::EndpointFrom([](const std::string& name) {
                 const char* value = std::getenv(name.c_str());
                 return std::string(value != nullptr ? value : "");
               }));
      CUBE_TRY(auto allowances,
               engine::docker::MakeAllowances(flags.allow_mounts, flags.allow_volumes,
                                              flags.allow_capabilities, flags.allow_host_network));
      engines.engines_[kind] = std::make_unique<engine::DockerEngine>(
          std::move(endpoint), std::move(allowances), std::move(to));
    } else if (kind == "process") {
      engine::ProcessEngineOptions options;
      options.state_dir = node_dir + "/process";
      CUBE_TRY_VOID(runtime::MakeDirectories(options.state_dir));
      engines.engines_[kind] =
          std::make_unique<engine::ProcessEngine>(std::move(options), std::move(to));
    } else if (kind == "sim") {
      // Its launches live as long as this process: nothing really runs.
      engines.simulation_ = std::make_unique<Simulation>();
      const auto machine = std::make_shared<engine::SimMachine>();
      engines.engines_[kind] = engines.simulation_->driver.MakeEngine(machine, std::move(to));
      engines.simulated_ = engines.simulation_->driver.MakeProber(machine, probed);
    } else {
      return Fail(Code::kUnsupported, "this build has no engine '" + kind + "'", "--engine");
    }
    commands->SetEngine(*engines.engines_.at(kind));
    engines.commands_[kind] = commands;
  }
  return engines;
}

engine::Engine& Engines::Of(const std::string& kind) {
  const auto found = engines_.find(kind);
  CUBE_CHECK(found != engines_.end());
  return *found->second;
}

void Engines::Call(EngineCall& call, const OutputFiles& output) {
  if (auto* start = std::get_if<StartEngine>(&call)) {
    Of(start->engine).Start(std::move(start->owner));
  } else if (auto* launch = std::get_if<LaunchCall>(&call)) {
    Of(launch->engine).Launch(std::move(launch->request));
  } else if (auto* stop = std::get_if<StopCall>(&call)) {
    Of(stop->engine).Stop(std::move(stop->key), std::move(stop->signal), stop->grace);
  } else if (auto* remove = std::get_if<RemoveCall>(&call)) {
    std::string path = output.PathOf(remove->key);
    Of(remove->engine).Remove(std::move(remove->key), std::move(path), kSavedOutputMax);
  } else if (const auto* list = std::get_if<ListCall>(&call)) {
    Of(list->engine).List();
  }
}

void Engines::Call(ProbeCall& call) {
  if (call.engine == kEngineSim) {
    simulated_->Start(std::move(call.request));
  } else if (call.request.kind == HealthCheck::Kind::kCommand) {
    commands_.at(call.engine)->Start(std::move(call.request));
  } else {
    sockets_->Start(std::move(call.request));
  }
}

void Engines::Call(OpenLogs& call) {
  Of(call.engine).OpenLogs(call.stream, std::move(call.key), call.options);
}
void Engines::Call(const LogCredit& call) { Of(call.engine).LogCredit(call.stream, call.bytes); }
void Engines::Call(const CloseLogs& call) { Of(call.engine).CloseLogs(call.stream); }
void Engines::Call(const AskUsage& call) { Of(call.engine).Usage(); }

void Engines::Call(ExecCall& call) {
  if (auto* run = std::get_if<RunExec>(&call)) {
    Of(run->engine).Exec(run->exec, std::move(run->key), std::move(run->request));
  } else if (const auto* credit = std::get_if<CreditExec>(&call)) {
    Of(credit->engine).ExecCredit(credit->exec, credit->bytes);
  } else if (auto* input = std::get_if<InputExec>(&call)) {
    Of(input->engine).ExecInput(input->exec, std::move(input->bytes), input->last);
  } else if (const auto* cancel = std::get_if<CancelExec>(&call)) {
    Of(cancel->engine).CancelExec(cancel->exec);
  }
}

}  // namespace cube::worker
