// Ed25519 signatures of artifacts, each in a file of its own beside the artifact: any kind of artifact can have one,
// and whoever starts it, a boot loader for one, checks it with a library it already has. Keys are PEM files as OpenSSL
// makes them, and `openssl pkeyutl -verify -rawin` accepts the same 64 bytes.
#ifndef BURIN_LIB_TARGET_SIGN_H
#define BURIN_LIB_TARGET_SIGN_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <memory>
#include <string>

namespace burin {

/// Behind an artifact's name.
inline constexpr char signatureSuffix[] = ".sig";

class Key {
public:
  /// Errors name the file and say what it should hold.
  static llvm::Expected<Key> loadPrivate(llvm::StringRef path);
  static llvm::Expected<Key> loadPublic(llvm::StringRef path);

  /// The signature of a file's bytes; of a private key.
  llvm::Expected<std::string> sign(llvm::StringRef path) const;
  /// Success where PATH.sig holds the signature of PATH by this key.
  llvm::Error verify(llvm::StringRef path) const;

private:
  explicit Key(std::shared_ptr<void> handle) : handle(std::move(handle)) {}
  static llvm::Expected<Key> load(llvm::StringRef path, bool isPrivate);
  std::shared_ptr<void> handle;
};

} // namespace burin

#endif
