"""Seeds for options_fuzz. usage: make_options_corpus.py FOLDER"""
import os
import sys

SEEDS = {
    "shapes": "shape=input=1x3x224x224\nshape=mask=?x16\ndim=batch=4\nlength=words=3\nspecialize=batch=1,8,32",
    "targets": "target=x86-64-v3,x86-64-v4+avx512vnni\nemit=exe\nstop-after=lower\nO=3\nprecision=f16",
    "images": "input-type=u8\nlayout=NHWC\nmean=123.7,116.3,103.5\nscale=58.4,57.1,57.4\nreverse-channels=1\nappend=softmax",
    "lists": "lora=a.safetensors:0.5\nlora-mode=switch\npasses=before-target:cse\npatterns=p.pdll\nearly-exit=head:threshold=0.9\ncustom-op=dom.Op=f@lib.so",
    "numbers": "dim=n=-1\ndim=n=99999999999999999999\nshape=x=1x-2x\nmean=nan,inf,1e999\nscale=,\nthreads=-1",
}
for name, text in SEEDS.items():
    with open(os.path.join(sys.argv[1], name), "w") as f:
        f.write(text)
