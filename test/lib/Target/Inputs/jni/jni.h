// As much of Java's header as the generated functions use.
#include <stdint.h>
typedef int64_t jlong;
typedef int32_t jint;
typedef void *jobject, *jclass;
typedef const struct JNINativeInterface_ *JNIEnv;
struct JNINativeInterface_ {
  jlong (*GetDirectBufferCapacity)(JNIEnv *, jobject);
  void *(*GetDirectBufferAddress)(JNIEnv *, jobject);
};
#define JNIEXPORT
#define JNICALL
