// libcrypto does the work (RFC 8032, "pure" Ed25519 over the whole file).
#include "lib/Target/Sign.h"
#include "llvm/Support/MemoryBuffer.h"
#include <openssl/evp.h>
#include <openssl/pem.h>

using namespace llvm;
using namespace burin;

constexpr size_t signatureBytes = 64;

static Error refuse(const Twine &message) { return createStringError(inconvertibleErrorCode(), message); }

static Expected<std::unique_ptr<MemoryBuffer>> read(const Twine &path) {
  auto file = MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!file)
    return refuse(path + ": cannot read: " + StringRef(file.getError().message()).lower());
  return std::move(*file);
}

Expected<Key> Key::load(StringRef path, bool isPrivate) {
  auto file = read(path);
  if (!file)
    return file.takeError();
  std::unique_ptr<BIO, int (*)(BIO *)> text(BIO_new_mem_buf((*file)->getBufferStart(), (*file)->getBufferSize()),
                                            &BIO_free);
  // Nobody is there to type a passphrase.
  auto noPhrase = [](char *, int, int, void *) { return -1; };
  EVP_PKEY *key = isPrivate ? PEM_read_bio_PrivateKey(text.get(), nullptr, noPhrase, nullptr)
                            : PEM_read_bio_PUBKEY(text.get(), nullptr, noPhrase, nullptr);
  std::shared_ptr<void> handle(key, [](void *k) { EVP_PKEY_free(static_cast<EVP_PKEY *>(k)); });
  if (!key || EVP_PKEY_get_base_id(key) != EVP_PKEY_ED25519)
    return refuse(path + ": expected an Ed25519 " +
                  (isPrivate ? "private key without a passphrase; make one with `openssl genpkey -algorithm ed25519`"
                             : "public key; get one with `openssl pkey -pubout -in KEY.pem`"));
  return Key(std::move(handle));
}

Expected<Key> Key::loadPrivate(StringRef path) { return load(path, true); }
Expected<Key> Key::loadPublic(StringRef path) { return load(path, false); }

using Digest = std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX *)>;

static const unsigned char *bytesOf(const MemoryBuffer &buffer) {
  return reinterpret_cast<const unsigned char *>(buffer.getBufferStart());
}

Expected<std::string> Key::sign(StringRef path) const {
  auto file = read(path);
  if (!file)
    return file.takeError();
  Digest digest(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  std::string signature(signatureBytes, 0);
  size_t length = signatureBytes;
  if (EVP_DigestSignInit(digest.get(), nullptr, nullptr, nullptr, static_cast<EVP_PKEY *>(handle.get())) != 1 ||
      EVP_DigestSign(digest.get(), reinterpret_cast<unsigned char *>(signature.data()), &length, bytesOf(**file),
                     (*file)->getBufferSize()) != 1 ||
      length != signatureBytes)
    return refuse(path + ": cannot be signed");
  return signature;
}

Error Key::verify(StringRef path) const {
  auto file = read(path), signature = read(path + signatureSuffix);
  if (!file || !signature)
    return joinErrors(file.takeError(), signature.takeError());
  Digest digest(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  if (EVP_DigestVerifyInit(digest.get(), nullptr, nullptr, nullptr, static_cast<EVP_PKEY *>(handle.get())) != 1 ||
      EVP_DigestVerify(digest.get(), bytesOf(**signature), (*signature)->getBufferSize(), bytesOf(**file),
                       (*file)->getBufferSize()) != 1)
    return refuse(path + ": " + path + signatureSuffix + " is not its signature by this key; it will not be run");
  return Error::success();
}
