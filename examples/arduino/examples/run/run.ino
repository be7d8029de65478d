// Runs the network and prints what it takes.
#include <net.h>

alignas(64) static unsigned char arena[NET_ARENA_BYTES];

void setup() {
  Serial.begin(115200);
  Serial.print("arena bytes: ");
  Serial.println(NET_ARENA_BYTES);
  Serial.print("weight bytes: ");
  Serial.println(NET_WEIGHTS_BYTES);
}

void loop() {
  // Fill the inputs and call net_run(inputs..., outputs..., arena): see net.h for their names and sizes.
  delay(1000);
}
