// The command line's way to a cluster: blocking questions, intents and streams over one bus. Used
// from one thread. Every wait ends early with kAborted on Ctrl-C.
#pragma once

#include <cube/v1/logs.pb.h>
#include <cube/v1/queries.pb.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/cli/feed.h"
#include "services/cli/settings.h"
#include "services/cli/usage.h"
#include "shared/base/error.h"
#include "shared/base/time.h"
#include "shared/bus/bus.h"
#include "shared/domain/intent.h"
#include "shared/wire/subjects.h"

namespace cube::cli {

class Client {
 public:
  // kUnavailable: nobody answers at the server's address; kPermission: it does not let us in.
  [[nodiscard]] static Result<std::unique_ptr<Client>> Connect(const Settings& settings);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // ---- questions to any manager -------------------------------------------------------------

  // One page. kUnavailable: no manager answers. The manager's own failures come with their code;
  // a conflict lists the candidates.
  [[nodiscard]] Result<v1::QueryReply> Query(std::string_view what,
                                             const v1::QueryRequest& request);
  // All pages, one task after the other, since there may be a million; `visit` may move it away.
  // After an error some were shown.
  [[nodiscard]] Result<void> EachTask(v1::QueryRequest request,
                                      const std::function<void(v1::TaskView&)>& visit);
  [[nodiscard]] Result<std::vector<v1::TaskView>> Tasks(v1::QueryRequest request);
  // By id, unique prefix or name. min_intent: not before that intent is decided on.
  [[nodiscard]] Result<v1::TaskView> Task(std::string_view match, std::uint64_t min_intent = 0);
  // What a word on the command line means: as Task, and where several tasks fit, the only one of
  // them that has not ended. As far as the manager knows that happens to answer.
  [[nodiscard]] Result<v1::TaskView> FindKnown(const std::string& word);
  // The same; what is not known is asked for once more, not before all that is in the log now is
  // decided on: it may have been submitted a moment ago. kTimedOut: that took longer than
  // --request-timeout.
  [[nodiscard]] Result<v1::TaskView> Find(const std::string& word);
  [[nodiscard]] Result<std::vector<v1::NodeView>> Nodes(std::uint64_t min_intent = 0);
  // The job with exactly this name. min_intent: not before that intent is decided on.
  [[nodiscard]] Result<v1::JobView> Job(const std::string& name, std::uint64_t min_intent = 0);
  [[nodiscard]] Result<std::vector<v1::JobView>> Jobs(bool ended_too);
  [[nodiscard]] Result<v1::ClusterView> Cluster();

  // ---- intents --------------------------------------------------------------------------------

  // Durable when this returns: the intent's sequence. The outcome will come to `token`.
  [[nodiscard]] Result<std::uint64_t> Append(const std::string& subject, std::string payload,
                                             std::string_view token, std::string_view summary);
  // A new random token for Cube-Outcome.
  [[nodiscard]] static std::string NewToken();

  // ---- core messages --------------------------------------------------------------------------

  // From now on messages on the subject come to Next.
  bus::SubId Listen(const std::string& subject);
  void StopListening(bus::SubId id);
  // Waits for the next message on any of them; nullopt when the time is over, or by Wake.
  // kUnavailable: the connection is gone for good.
  [[nodiscard]] Result<std::optional<bus::Message>> Next(MonoTime deadline);
  // Ends the current or the next wait of Next without a message. Any thread.
  void Wake();
  // Publishes with a subject of our own for answers.
  void Send(const std::string& subject, const std::string& reply_to, std::string payload);
  [[nodiscard]] static std::string NewInbox();
  // Asks whoever listens on the subject, and waits for the answer. kUnavailable: nobody does;
  // kTimedOut: no answer within --request-timeout.
  [[nodiscard]] Result<std::string> Request(const std::string& subject, std::string payload);

  // ---- streams --------------------------------------------------------------------------------

  // kPrecondition with a clear text if the stream is missing: no manager has run yet.
  [[nodiscard]] Result<bus::StreamState> State(const std::string& stream);
  [[nodiscard]] Result<std::optional<bus::StreamMessage>> Get(const std::string& stream,
                                                              std::uint64_t seq);
  // The newest message of a subject.
  [[nodiscard]] Result<std::optional<bus::StreamMessage>> GetLast(const std::string& stream,
                                                                  const std::string& subject);
  // Every stored message from `first` to `last`, in order, several gets in flight; what was purged
  // is left out.
  [[nodiscard]] Result<void> ReadRange(const std::string& stream, std::uint64_t first,
                                       std::uint64_t last,
                                       const std::function<void(const bus::StreamMessage&)>& visit);

  // The newest metrics of these nodes, of those that have published any.
  [[nodiscard]] Result<MetricsByNode> Metrics(const std::vector<std::string>& nodes);

  [[nodiscard]] Now now() const;
  [[nodiscard]] MonoTime Mono() const { return now().mono; }
  [[nodiscard]] WallTime Wall() const { return now().wall; }
  [[nodiscard]] MonoTime In(Duration duration) const { return Mono() + duration; }
  [[nodiscard]] const wire::Subjects& subjects() const { return subjects_; }
  [[nodiscard]] const Settings& settings() const { return settings_; }
  // The server's URL without secrets, for people.
  [[nodiscard]] std::string ServerUrl() const;
  // "2.9.10"; empty if the server does not say (TLS before the greeting).
  [[nodiscard]] std::string ServerVersion() const;

 private:
  class Impl;
  // Starts a question, and waits for its answer: an encoded QueryReply.
  [[nodiscard]] bus::OpId Ask(std::string_view what, const v1::QueryRequest& request);
  [[nodiscard]] Result<std::string> Answer(bus::OpId op);
  [[nodiscard]] Result<v1::TaskView> FindAt(const std::string& word, std::uint64_t min_intent);
  [[nodiscard]] Result<std::optional<bus::StreamMessage>> AwaitMessage(bus::OpId op);
  Client(Settings settings, wire::Subjects subjects, std::unique_ptr<Impl> impl);

  Settings settings_;
  wire::Subjects subjects_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cube::cli
