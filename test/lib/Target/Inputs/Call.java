// What a Java program does with the generated class: before the key, with a wrong one, with its own, with a short buffer.
import java.nio.ByteBuffer;
import java.util.Arrays;

final class Call {
  private static void attempt(Runnable what) {
    try {
      what.run();
    } catch (IllegalArgumentException e) {
      System.out.println(e.getMessage());
    }
  }

  public static void main(String[] arguments) {
    Add add = new Add();
    ByteBuffer x = Add.buffer(Add.X_BYTES), y = Add.buffer(Add.Y_0_BYTES);
    for (int i = 0; i < 4; ++i)
      x.putFloat(4 * i, i + 1);
    attempt(() -> add.run(x, y));
    byte[] key = new byte[32];
    attempt(() -> add.unlock(key));
    Arrays.fill(key, (byte) 0x5a);
    add.unlock(key);
    add.run(x, y);
    System.out.println(y.getFloat(0) + " " + y.getFloat(4) + " " + y.getFloat(8) + " " + y.getFloat(12));
    attempt(() -> add.run(Add.buffer(4), y));
  }
}
