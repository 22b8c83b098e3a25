import torch

from ssdet.augment.frames import take_columns, take_frames
from tests.augment.recipes import noise

CLIPS = torch.tensor([1, 1])
FRAMES = torch.tensor([[2, 0, 0], [1, 1, 2]])


def layouts():
    """The same video in two memory layouts."""
    video = noise(2, 3, 3, 4, 5)
    return video, video.to(memory_format=torch.channels_last_3d)


def test_frames_of_other_clips():
    for video in layouts():
        found = take_frames(video, CLIPS, FRAMES)
        for clip in (0, 1):
            assert found[clip].equal(video[1][:, FRAMES[clip]])
        assert take_frames(video, None, FRAMES)[0].equal(video[0][:, FRAMES[0]])
        assert take_frames(video, CLIPS, None).equal(video[CLIPS])


def test_frames_are_always_copies():
    video, _ = layouts()
    take_frames(video, None, None).zero_()
    assert video.abs().sum() > 0


def test_columns_begin_elsewhere_in_each_frame():
    for video in layouts():
        wide = torch.zeros(2 * 3 * 3 * 4, 6)
        take_columns(video, CLIPS, FRAMES, wide[:, 1:4])
        found = wide.view(2, 3, 3, 4, 6)
        for clip in (0, 1):
            for t in range(3):
                first = int(FRAMES[clip, t])
                expected = video[1, :, t, :, first : first + 3]
                assert found[clip, :, t, :, 1:4].equal(expected)
        assert (found[..., [0, 4, 5]] == 0).all()


def test_columns_are_the_same_with_gradients():
    for video in layouts():
        plain, tracked = torch.zeros(72, 6), torch.zeros(72, 6)
        take_columns(video, CLIPS, FRAMES, plain[:, 1:4])
        take_columns(video.clone().requires_grad_(), CLIPS, FRAMES, tracked[:, 1:4])
        assert tracked.requires_grad
        assert tracked.equal(plain)


def test_gradients_of_columns_add_up():
    video = torch.zeros(2, 1, 3, 1, 5, requires_grad=True)
    out = torch.zeros(6, 3)
    take_columns(video, CLIPS, FRAMES, out)
    out.sum().backward()
    assert (video.grad[0] == 0).all()  # no clip takes the first one
    # columns 2-4 and 1-3 of frame 0; 0-2 and 1-3 of frame 1; 0-2 and 2-4 of frame 2
    assert video.grad[1, 0, :, 0].tolist() == [
        [0, 1, 2, 2, 1],
        [1, 2, 2, 1, 0],
        [1, 1, 2, 1, 1],
    ]
