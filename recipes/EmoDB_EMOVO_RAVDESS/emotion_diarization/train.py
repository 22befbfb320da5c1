"""Train the embedded model, or an encoder of your own, on EmoDB, EMOVO and RAVDESS.

    python train.py hparams/timnet-mfcc.yaml --data_folder=FOLDER

Run it again to go on after an interruption.
"""

from sed.training.runs import main

if __name__ == "__main__":
    main()
