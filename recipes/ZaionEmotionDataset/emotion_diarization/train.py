"""Train speech emotion diarization on simulated recordings and judge it on ZED.

    python train.py hparams/train.yaml --data_folder=FOLDER

Run it again to go on after an interruption. Wang et al. (2023), section 5.
"""

from sed.training.runs import main

if __name__ == "__main__":
    main()
