// A Unix socket between a driver and an engine that loses answers and cuts connections to order.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace cube::engine {

class FlakyProxy {
 public:
  // Listens on `path` (not there yet) from Open on, and connects to the socket `upstream`.
  FlakyProxy(std::string path, std::string upstream);
  ~FlakyProxy();
  FlakyProxy(const FlakyProxy&) = delete;
  FlakyProxy& operator=(const FlakyProxy&) = delete;

  void Open();
  // Cuts every connection and refuses new ones until Open.
  void Close();
  // Requests whose text holds `pattern` reach the engine, but their answer is lost, and with it
  // the connection; the next `times` of them.
  void LoseAnswers(const std::string& pattern, int times);
  // Requests so far whose text held `pattern`.
  [[nodiscard]] int Seen(const std::string& pattern) const;

 private:
  struct Connection;
  void Accept(int listener);
  void Relay(const std::shared_ptr<Connection>& connection);
  bool TakeLoss(const std::string& bytes);

  const std::string path_;
  const std::string upstream_;
  std::thread acceptor_;
  mutable std::mutex mutex_;
  int listener_ = -1;                                     // guarded by mutex_
  int wake_[2] = {-1, -1};                                // ends the acceptor
  std::map<std::string, int> losses_;                     // guarded by mutex_
  std::string requests_;                                  // guarded by mutex_
  std::vector<std::shared_ptr<Connection>> connections_;  // guarded by mutex_
  std::vector<std::thread> relays_;                       // guarded by mutex_
};

}  // namespace cube::engine
