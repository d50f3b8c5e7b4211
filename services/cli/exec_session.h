// One command inside a running task, by way of its worker (messages/cube/v1/exec.proto).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/cli/client.h"
#include "services/cli/exec_end.h"

namespace cube::v1 {
class ExecReply;
class ExecRequest;
}  // namespace cube::v1

namespace cube::cli {

class InputReader;

struct ExecOptions {
  std::string task;
  std::uint32_t attempt = 0;
  std::string node;
  std::vector<std::string> command;
  std::map<std::string, std::string> env;
  std::string workdir;
  std::string user;
  bool input = false;  // this process's standard input is passed on
};

class ExecSession {
 public:
  struct Handlers {
    // Takes of the bytes what it can without waiting for more than a moment: how many. nullopt:
    // nobody can take output any more, so the command is ended.
    std::function<std::optional<std::size_t>(bool is_stderr, std::string_view bytes)> on_output;
    std::function<void(const std::string& text)> on_notice;
  };

  ExecSession(Client& client, ExecOptions options, Handlers handlers);
  ~ExecSession();
  ExecSession(const ExecSession&) = delete;
  ExecSession& operator=(const ExecSession&) = delete;

  // Runs it to its end, which is also Ctrl-C, an output that is closed, or a worker that is gone.
  [[nodiscard]] ExecEnd Run();

 private:
  void Open();
  void Say(const v1::ExecRequest& request, bool ask_for_reply);
  void SendInput();
  void Pay();
  void Close();
  [[nodiscard]] Result<void> OnMessage(const bus::Message& message);
  void OnReply(const v1::ExecReply& reply);
  // False: nobody can take output any more. What cannot be written at once
  // after Ctrl-C is thrown away.
  [[nodiscard]] bool Print(bool is_stderr, std::string_view bytes);
  [[nodiscard]] Result<void> RunToEnd();
  void AskForLife();
  [[nodiscard]] Result<void> CheckAlive();
  // Ctrl-C or a closed output: waits a little for the command's end.
  void CloseAndWait();
  [[nodiscard]] std::unexpected<Error> NoWorker(const std::string& what) const;

  Client& client_;
  const ExecOptions options_;
  Handlers handlers_;
  const std::uint64_t id_;
  const std::string inbox_;
  bus::SubId subscription_ = 0;
  std::uint64_t number_ = 0;  // of the next message
  std::uint64_t unpaid_ = 0;  // bytes received since credit was last sent
  std::uint64_t input_credit_ = 0;
  std::uint64_t input_number_ = 0;
  std::unique_ptr<InputReader> reader_;
  bool output_gone_ = false;
  bool interrupted_ = false;
  bool closing_ = false;
  bool begun_ = false;
  bool ended_ = false;
  std::optional<Error> failure_;
  int exit_code_ = 0;
  MonoTime heard_at_;
  MonoTime spoke_at_;
  bool heard_ = false;
};

}  // namespace cube::cli
