// What the sketch uses of Arduino's core.
#pragma once

class SerialPort {
public:
  void begin(unsigned long rate);
  void print(const char *text);
  void println(unsigned long number);
};

extern SerialPort Serial;
void delay(unsigned long milliseconds);
