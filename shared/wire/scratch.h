// A protobuf message for the length of one call: it and its parts are made in one piece of memory,
// most of them on the stack, instead of one by one.
#pragma once

#include <google/protobuf/arena.h>

#include <cstddef>

namespace cube::wire {

template <class Message>
class Scratch {
 public:
  Scratch()  // NOLINT(cppcoreguidelines-pro-type-member-init): the arena's memory needs no zeros
      : arena_(first_, sizeof(first_)),
        message_(google::protobuf::Arena::CreateMessage<Message>(&arena_)) {}
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  [[nodiscard]] Message& operator*() { return *message_; }
  [[nodiscard]] Message* operator->() { return message_; }

 private:
  // Enough for a message about some ten tasks; the arena makes more where that is not.
  static constexpr std::size_t kFirstBytes = 16384;
  alignas(std::max_align_t) char first_[kFirstBytes];
  google::protobuf::Arena arena_;
  Message* message_;
};

}  // namespace cube::wire
