// Containers through the Docker Engine API (v1.24 to v1.47), over its Unix socket or TCP. One
// thread of its own does all the work; it sleeps while nothing happens.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "services/worker/engine/docker/allowances.h"
#include "services/worker/engine/docker/docker_config.h"
#include "services/worker/engine/engine.h"

namespace cube::engine {

class DockerEngine final : public Engine {
 public:
  // Where the engine is: docker::EndpointFrom(environment). What tasks may have of the node:
  // docker::MakeAllowances.
  DockerEngine(docker::Endpoint endpoint, docker::Allowances allowances, Sink sink);
  DockerEngine(docker::Endpoint endpoint, Sink sink)
      : DockerEngine(std::move(endpoint), docker::Allowances{}, std::move(sink)) {}
  // Joins the thread; no event follows. Containers run on.
  ~DockerEngine() override;

  [[nodiscard]] std::string Kind() const override { return "docker"; }
  void Start(Owner owner) override;
  void Launch(LaunchRequest request) override;
  void Stop(LaunchKey key, std::string signal, Duration grace) override;
  void Remove(LaunchKey key, std::string save_output_to, std::size_t save_bytes) override;
  void List() override;
  void OpenLogs(std::uint64_t stream, LaunchKey key, LogOptions options) override;
  void LogCredit(std::uint64_t stream, std::size_t bytes) override;
  void CloseLogs(std::uint64_t stream) override;
  void Exec(std::uint64_t exec, LaunchKey key, ExecRequest request) override;
  void ExecCredit(std::uint64_t exec, std::size_t bytes) override;
  void ExecInput(std::uint64_t exec, std::string bytes, bool last) override;
  void CancelExec(std::uint64_t exec) override;
  void Usage() override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cube::engine
