// A board that says nothing.
#include "Arduino.h"

SerialPort Serial;
void SerialPort::begin(unsigned long) {}
void SerialPort::print(const char *) {}
void SerialPort::println(unsigned long) {}
void delay(unsigned long) {}
