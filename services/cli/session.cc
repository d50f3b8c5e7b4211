#include "services/cli/session.h"

namespace cube::cli {

Result<const Settings*> Session::settings() {
  if (!settings_) {
    CUBE_TRY(settings_, ResolveSettings(args(), environment_));
  }
  return &*settings_;
}

Result<Client*> Session::client() {
  if (client_ == nullptr) {
    CUBE_TRY(const Settings* where, settings());
    CUBE_TRY(client_, Client::Connect(*where));
  }
  return client_.get();
}

}  // namespace cube::cli
