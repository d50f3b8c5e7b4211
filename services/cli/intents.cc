#include "services/cli/intents.h"

#include <fmt/format.h>

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
  for (const auto& item : part) message.ids.push_back(item.id.str());
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
Result<void> Ask(Client& client, const std::string& id, bool submitted, IntentResult& result) {
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

Result<IntentResult> Send(Client& client, const std::string& subject, std::vector<Message> messages,
                          bool submit) {
  const std::string token = Client::NewToken();
  const bus::SubId listener = client.Listen(client.subjects().Outcome(token));
  IntentResult result;
  std::set<std::string> waiting;
  for (auto& message : messages) {
    const std::string verb = submit ? "run" : "stop";
    const std::string summary = message.ids.size() == 1
                                    ? fmt::format("{} {}", verb, message.ids.front())
                                    : fmt::format("{} {} tasks", verb, message.ids.size());
    waiting.insert(message.ids.begin(), message.ids.end());
    CUBE_TRY(result.last_intent,
             client.Append(subject, std::move(message.payload), token, summary));
  }
  const auto heard = Hear(client, listener, waiting, result);
  client.StopListening(listener);
  CUBE_TRY_VOID(heard);
  for (const auto& id : waiting) {
    if (!result.manager_heard) break;
    if (!result.items.contains(id)) CUBE_TRY_VOID(Ask(client, id, submit, result));
  }
  return result;
}

}  // namespace

Result<IntentResult> SubmitTasks(Client& client, const std::vector<SubmitTask>& tasks) {
  std::vector<Message> messages;
  Pack(tasks, 0, tasks.size(), wire::EncodeSubmit, messages);
  return Send(client, client.subjects().TasksSubmit(), std::move(messages), true);
}

Result<IntentResult> StopTasks(Client& client, const std::vector<StopTask>& tasks) {
  std::vector<Message> messages;
  Pack(tasks, 0, tasks.size(), wire::EncodeStop, messages);
  return Send(client, client.subjects().TasksStop(), std::move(messages), false);
}

TaskId RandomTaskId(const TaskName& name) {
  const std::uint64_t value = runtime::RandomU64();
  return TaskId::Trusted(fmt::format("{}-{}", name.str(), Base32(value, kIdDigits)));
}

}  // namespace cube::cli
