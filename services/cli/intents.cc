#include "services/cli/intents.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>

#include "shared/base/base32.h"
#include "shared/domain/validate.h"
#include "shared/runtime/entropy.h"
#include "shared/wire/codec.h"

namespace cube::cli {
namespace {

// Items that one message carries: far below the server's default max_payload of 1 MiB, and small
// enough for one cycle of the manager.
constexpr std::size_t kMessageBytesMax = 256u << 10;
static_assert(kMessageBytesMax >= 2 * kIntentItemBytesMax);
constexpr int kIdDigits = 8;

struct Message {
  std::string payload;
  std::vector<std::string> ids;
};

// What an outcome calls the item.
std::string IdOf(const SubmitTask& task) { return task.id.str(); }
std::string IdOf(const StopTask& task) { return task.id.str(); }
std::string IdOf(const NodeName& node) { return node.str(); }
std::string IdOf(const DrainNode& node) { return node.node.str(); }

// Splits the items into messages. Encoding grows with its items, so halves of a batch that is too
// large are tried until they fit.
template <class Item, class Encode>
void Pack(const std::vector<Item>& items, std::size_t first, std::size_t last, const Encode& encode,
          std::vector<Message>& out) {
  const std::vector<Item> part(items.begin() + static_cast<std::ptrdiff_t>(first),
                               items.begin() + static_cast<std::ptrdiff_t>(last));
  std::string payload = encode(part);
  if (payload.size() > kMessageBytesMax && last - first > 1) {
    const std::size_t middle = first + (last - first) / 2;
    Pack(items, first, middle, encode, out);
    Pack(items, middle, last, encode, out);
    return;
  }
  Message message{std::move(payload), {}};
  for (const auto& item : part) message.ids.push_back(IdOf(item));
  out.push_back(std::move(message));
}

// Hears of all items, or the time is over.
Result<void> Hear(Client& client, bus::SubId listener, std::set<std::string> waiting,
                  IntentResult& result) {
  const MonoTime deadline = client.In(client.settings().nats.request_timeout);
  while (!waiting.empty()) {
    CUBE_TRY(const auto message, client.Next(deadline));
    if (!message) return {};
    if (message->subscription != listener) continue;
    const auto outcome = ParseOutcome(message->payload);
    if (!outcome) continue;  // not from a manager: whoever may publish may say anything
    for (const auto& item : outcome->items) {
      waiting.erase(item.id);
      result.items[item.id] = item;
    }
  }
  return {};
}

// The outcome was missed: the tasks themselves tell.
Result<void> AskTask(Client& client, const std::string& id, bool submitted, IntentResult& result) {
  auto task = client.Task(id, result.last_intent);
  if (task) {
    result.items[id] = {.id = id, .status = "accepted"};
    return {};
  }
  if (task.error().code == Code::kNotFound) {
    result.items[id] = {.id = id, .status = "refused"};
    result.items[id].error = {
        Code::kNotFound,
        submitted ? fmt::format("it was refused; 'cube events {}' says why", id) : "no such task",
        ""};
    return {};
  }
  if (task.error().code == Code::kUnavailable || task.error().code == Code::kTimedOut) {
    result.manager_heard = false;
    return {};
  }
  return std::unexpected(task.error());
}

Result<void> AskNode(Client& client, const std::string& name, IntentResult& result) {
  const auto nodes = client.Nodes(result.last_intent);
  if (!nodes) {
    const Code code = nodes.error().code;
    if (code != Code::kUnavailable && code != Code::kTimedOut) {
      return std::unexpected(nodes.error());
    }
    result.manager_heard = false;
    return {};
  }
  const bool there = std::ranges::any_of(*nodes, [&](const auto& n) { return n.name() == name; });
  result.items[name] = {.id = name, .status = there ? "accepted" : "refused"};
  if (!there) result.items[name].error = {Code::kNotFound, "no such node", ""};
  return {};
}

Result<void> AskJob(Client& client, const std::string& name, IntentResult& result) {
  const auto job = client.Job(name, result.last_intent);
  if (job) {
    result.items[name] = {.id = name, .status = "accepted"};
    return {};
  }
  const Code code = job.error().code;
  if (code == Code::kUnavailable || code == Code::kTimedOut) {
    result.manager_heard = false;
    return {};
  }
  if (code != Code::kNotFound) return std::unexpected(job.error());
  result.items[name] = {.id = name, .status = "refused"};
  result.items[name].error = {
      Code::kNotFound, fmt::format("there is no such job; 'cube events {}' says why", name), ""};
  return {};
}

// How an intent is summed up, and how an item is asked for whose outcome was missed.
struct Sending {
  std::string verb;    // "run"
  std::string plural;  // "tasks"
  std::function<Result<void>(const std::string& id, IntentResult& result)> ask;
};

Result<IntentResult> Send(Client& client, const std::string& subject, std::vector<Message> messages,
                          const Sending& sending) {
  const std::string token = Client::NewToken();
  const bus::SubId listener = client.Listen(client.subjects().Outcome(token));
  IntentResult result;
  std::set<std::string> waiting;
  for (auto& message : messages) {
    const std::string summary =
        message.ids.size() == 1
            ? fmt::format("{} {}", sending.verb, message.ids.front())
            : fmt::format("{} {} {}", sending.verb, message.ids.size(), sending.plural);
    waiting.insert(message.ids.begin(), message.ids.end());
    CUBE_TRY(result.last_intent,
             client.Append(subject, std::move(message.payload), token, summary));
  }
  const auto heard = Hear(client, listener, waiting, result);
  client.StopListening(listener);
  CUBE_TRY_VOID(heard);
  for (const auto& id : waiting) {
    if (!result.manager_heard) break;
    if (!result.items.contains(id)) CUBE_TRY_VOID(sending.ask(id, result));
  }
  return result;
}

Sending OfTasks(Client& client, bool submit) {
  return {submit ? "run" : "stop", "tasks",
          [&client, submit](const std::string& id, IntentResult& result) {
            return AskTask(client, id, submit, result);
          }};
}

Sending OfNodes(Client& client, std::string verb) {
  return {std::move(verb), "nodes", [&client](const std::string& name, IntentResult& result) {
            return AskNode(client, name, result);
          }};
}

Result<IntentResult> SendToJob(Client& client, const std::string& verb, const TaskName& name,
                               std::string payload) {
  std::vector<Message> messages;
  messages.push_back({std::move(payload), {name.str()}});
  return Send(client, client.subjects().Jobs(verb), std::move(messages),
              {verb + " job", "jobs", [&client](const std::string& job, IntentResult& result) {
                 return AskJob(client, job, result);
               }});
}

}  // namespace

Result<IntentResult> SubmitTasks(Client& client, const std::vector<SubmitTask>& tasks) {
  std::vector<Message> messages;
  Pack(tasks, 0, tasks.size(), wire::EncodeSubmit, messages);
  return Send(client, client.subjects().TasksSubmit(), std::move(messages), OfTasks(client, true));
}

Result<IntentResult> StopTasks(Client& client, const std::vector<StopTask>& tasks) {
  std::vector<Message> messages;
  Pack(tasks, 0, tasks.size(), wire::EncodeStop, messages);
  return Send(client, client.subjects().TasksStop(), std::move(messages), OfTasks(client, false));
}

Result<IntentResult> SendCordon(Client& client, const std::vector<NodeName>& nodes, bool cordon) {
  std::vector<Message> messages;
  Pack(
      nodes, 0, nodes.size(),
      [cordon](const std::vector<NodeName>& part) { return wire::EncodeCordon(part, cordon); },
      messages);
  const std::string verb = cordon ? "cordon" : "uncordon";
  return Send(client, client.subjects().Nodes(verb), std::move(messages), OfNodes(client, verb));
}

Result<IntentResult> SendDrain(Client& client, const std::vector<DrainNode>& nodes) {
  std::vector<Message> messages;
  Pack(nodes, 0, nodes.size(), wire::EncodeDrain, messages);
  return Send(client, client.subjects().Nodes("drain"), std::move(messages),
              OfNodes(client, "drain"));
}

Result<IntentResult> SendSubmitJob(Client& client, const JobSpec& spec) {
  return SendToJob(client, "submit", spec.name, wire::EncodeSubmitJob(spec));
}

Result<IntentResult> SendScaleJob(Client& client, const ScaleJob& scale) {
  return SendToJob(client, "scale", scale.name, wire::EncodeScaleJobs({scale}));
}

Result<IntentResult> SendStopJob(Client& client, const StopJob& stop) {
  return SendToJob(client, "stop", stop.name, wire::EncodeStopJobs({stop}));
}

TaskId RandomTaskId(const TaskName& name) {
  const std::uint64_t value = runtime::RandomU64();
  return TaskId::Trusted(fmt::format("{}-{}", name.str(), Base32(value, kIdDigits)));
}

}  // namespace cube::cli
